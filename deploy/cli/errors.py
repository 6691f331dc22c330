"""
What the command line itself refuses, and what a script learns from the exit code.

    LocalProblem      something on this machine must be put right first
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """
    What the command ends with.
    """

    DONE = 0
    REFUSED = 1
    """The node refused: change the input."""
    USAGE = 2
    """The command was called wrongly."""
    LATER = 3
    """The node cannot be reached, or cannot do it now: try again."""
    LOCAL = 4
    """A file or folder on this machine is missing or wrong."""
    DEFECT = 70
    """The command itself failed in a way nobody foresaw."""


class LocalProblem(Exception):
    """
    Something on this machine keeps a command from working.

    Args:
        problem: What is wrong.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
