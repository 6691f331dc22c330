"""
The national dialect (VXP): thirteen operations behind one base address, for clients that know no other axis.

Everything odd about it is in `docs/reference/vxp.md`. What a client meets here is the same documents, states and
evidence as over REST: every operation ends in an ask that the REST routes make as well, or one like it.
"""

from gateway.vxp.answers import refuse_unreadable, write_refusal
from gateway.vxp.door import Dialects
from gateway.vxp.operations import BASE, VxpOperation, is_vxp

__all__ = ["BASE", "Dialects", "VxpOperation", "is_vxp", "refuse_unreadable", "write_refusal"]
