"""Everything that touches the outside: the command line and, around it, all input and output."""
