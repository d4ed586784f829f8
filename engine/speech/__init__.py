"""Where speech is: detector, gate, spans, windows."""
