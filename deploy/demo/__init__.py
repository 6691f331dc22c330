"""`make demo`: a whole node in a temporary folder, and a play on four levels over real HTTP."""
