"""Rules of the register, without I/O."""
