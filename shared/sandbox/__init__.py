"""
Worker processes for hostile input.

What strangers send is parsed in a process that holds no database, no bus and no key, with limits of memory and time. A
worker that crashes or stalls costs its sender a refusal and us a new worker.
"""

from shared.sandbox.pool import Sandbox

__all__ = ["Sandbox"]
