"""Typed asks to other services, and the workers that read packets."""
