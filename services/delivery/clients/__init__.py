"""What delivery talks to."""
