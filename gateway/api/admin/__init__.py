"""Routes of the administrative listener, below `/v1/admin`."""

from gateway.api.admin.operating import add_operating
from gateway.api.admin.registry import add_registry

__all__ = ["add_operating", "add_registry"]
