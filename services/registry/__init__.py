"""
Who is who.

Owns agencies with their identifiers and validity, systems with grants, credentials and certificate bindings,
registrations of integrators, and webhook endpoints. Publishes what changed among them, as events and as signed pages
of its version log; mints access tokens. Consumes nothing. Never touches documents.
"""
