"""
Everything that leaves the house: webhook notifications, and what is exchanged with a national axis.

Owns notifications, what is known about the health of endpoints and of national axes, and the notes of what was sent to
such an axis and of what lies there. Publishes which notifications ended. Consumes steps of deliveries, status reports
and changes of endpoints. Never decides who receives, and never changes a delivery: a notification is thin, the mailbox
stays the truth.
"""
