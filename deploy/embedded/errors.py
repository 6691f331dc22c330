"""
What keeps an embedded node from running.

    AxisError
    └── NodeError      the person who started the node must change something, then start it again
"""

from shared.errors import AxisError


class NodeError(AxisError):
    """
    The node cannot run as things stand.

    Args:
        problem: What is wrong, one sentence.
        remedy: What the person at the machine can do about it, one sentence.
    """

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy
