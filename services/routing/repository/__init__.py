"""Every SQL statement of routing, by what it is about. Functions run on the connection of an open unit of work."""

from typing import Any

AnyRow = Any
"""A row of many columns, read by the names it was selected under."""
