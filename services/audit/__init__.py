"""
The journal: every event of the house as one leaf of a tamper-evident log.

Owns the leaves, the hashes above them and the signed tree heads. Publishes nothing, so that the journal never writes
about itself. Consumes every event there is. Never updates or deletes.
"""
