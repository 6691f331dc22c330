from dataclasses import dataclass
from typing import NamedTuple

from gateway.languages import Language


class Text(NamedTuple):
    """
    The same sentence in Vietnamese and English.
    """

    vi: str
    en: str

    def in_language(self, language: Language) -> str:
        """
        Give it in one language.
        """
        return self.vi if language == "vi" else self.en


@dataclass(frozen=True)
class ProblemKind:
    """
    One kind of problem, as the public page explains it.

    Attributes:
        code: Stable, in kebab case; end of the problem's `type`.
        status: HTTP status.
        title: Fixed heading.
        what: What happened.
        why: Why the axis answers so.
        change: What to change.
        example: A detail as it may stand in an answer.
        retry: Whether the same request may succeed later.
        retry_after: Seconds to name in `Retry-After`; None: those the refusal itself names, if any.
    """

    code: str
    status: int
    title: Text
    what: Text
    why: Text
    change: Text
    example: str
    retry: bool = False
    retry_after: int | None = None
