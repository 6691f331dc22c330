"""Routes, with the shapes of their requests and answers; one module per part of the reference."""
