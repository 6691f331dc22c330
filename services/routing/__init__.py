"""
Accepts documents and carries each to its addressees.

Owns documents, dispatches, deliveries, mailboxes, acknowledgements, status reports, lanes and references to packets.
Publishes what became of them (`routing.*`). Consumes its own lane messages, and keeps a read model of the register, fed
by the registry's signed changes.
Never opens a connection outwards, never holds a key, never changes a packet.
"""
