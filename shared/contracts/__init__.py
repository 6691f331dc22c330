"""What the services say to each other: one module per publisher, versioned, additive only."""
