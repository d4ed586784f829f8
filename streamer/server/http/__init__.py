"""Plain HTTP on the port of the WebSockets: one table of routes, pages, probes and recordings."""
