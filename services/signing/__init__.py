"""
Holds the node's keys: signs, verifies, and runs the development certification authority.

Owns keys, trust anchors, issued certificates and revocation lists. Publishes `certificates_issued` and
`certificates_revoked`; consumes nothing. Never knows what a recipient is, and never sees a packet: only digests.
"""
