"""What the registry can do: one function each, every change one transaction."""
