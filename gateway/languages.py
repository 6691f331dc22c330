"""Which of our two languages a caller reads."""

from typing import Final, Literal

Language = Literal["vi", "en"]

_LANGUAGES: Final[tuple[Language, ...]] = ("vi", "en")


def choose_language(accept_language: str) -> Language:
    """
    Choose by the header `Accept-Language`; Vietnamese unless English is wanted more.

    Source:
        RFC 9110 section 12.5.4.
    """
    weights: dict[str, float] = {}
    for entry in accept_language.split(",")[:20]:
        name, _, parameters = entry.strip().partition(";")
        weights.setdefault(name.strip().lower().partition("-")[0], _weight(parameters))
    anything = weights.get("*", 0.0)
    best: Language = "vi"
    for language in _LANGUAGES:
        if weights.get(language, anything) > weights.get(best, anything):
            best = language
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
