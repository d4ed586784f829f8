"""What telephone systems say on a WebSocket, in the words of our own wire."""
