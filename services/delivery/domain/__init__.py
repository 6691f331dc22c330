"""What delivery knows without asking anybody: rules of notifications, and of what is exchanged with a national axis."""
