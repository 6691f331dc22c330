"""
The only door: takes proofs, limits size and rate, streams bytes, and asks the services.

Owns nothing durable: no database, no signing key. It turns HTTP into questions on the bus and answers into HTTP; it
decides nothing about documents, and can speak for a caller only with the proof that the caller showed.
"""
