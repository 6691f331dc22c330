"""What signing can do: one function each."""
