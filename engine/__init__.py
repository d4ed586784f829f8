"""One stream's logic and the inference that serves it. No sockets, no torch."""
