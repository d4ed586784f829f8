"""Messages and requests of the wire, and nothing else."""
