"""Rules of keys, certificates and trust; no I/O and no clock."""
