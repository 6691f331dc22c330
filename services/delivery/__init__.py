"""
Everything that leaves the house: webhook notifications, their attempts and the breakers of their endpoints.

Owns notifications and what is known about the health of endpoints. Publishes which notifications ended. Consumes steps
of deliveries, status reports and changes of endpoints. Never decides who receives, and never changes a delivery: a
notification is thin, the mailbox stays the truth.
"""
