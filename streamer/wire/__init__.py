"""Wire version 1: its messages, requests and error codes, and how text becomes one of them."""
