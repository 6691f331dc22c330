"""Everything signing keeps: rows in its schema, and keys in a key store."""
