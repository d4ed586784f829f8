"""What candidates agree to, a language a module."""
