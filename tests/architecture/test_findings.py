"""
Whatever may be found in a packet has a page, with the right grade, in both languages.
"""

import re
from pathlib import Path

import pytest

from gateway.problems import FINDINGS, PROBLEMS, FindingKind
from services.routing.domain import submission
from services.signing.domain.trust import REVOKED_NO_POE
from shared.certificates import PathFault
from shared.edxml import FINDING_SENTENCES
from shared.xmldsig import SubIndication

READER = Path(__file__).parents[2] / "shared" / "edxml"
KINDS = sorted(FINDINGS.values(), key=lambda kind: kind.code)


def written(call: str, *folders: Path) -> set[str]:
    sources = (path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("*.py"))
    return {code for source in sources for code in re.findall(rf'{call}\(\s*"([a-z-]+)"', source)}


def test_everything_the_reader_finds_has_its_page() -> None:
    assert set(FINDING_SENTENCES) <= set(FINDINGS)


def test_everything_a_signature_may_fail_of_has_its_page() -> None:
    words = {word.value for word in (*SubIndication, *PathFault)} | {REVOKED_NO_POE, "TRY_LATER"}
    assert {word.lower().replace("_", "-") for word in words} <= set(FINDINGS)


def test_everything_acceptance_finds_has_its_page() -> None:
    service = Path(submission.__file__).parents[1]
    sources = [
        service / "domain" / "submission.py",
        *(service / "usecases" / name for name in ("checks.py", "status_packages.py", "submit.py")),
    ]
    found = {code for path in sources for code in re.findall(r'code="([a-z-]+)"', path.read_text(encoding="utf-8"))}
    found |= set(re.findall(r'return "(addressee-[a-z-]+)"', sources[0].read_text(encoding="utf-8")))
    assert {"addressee-unknown", "priority-mismatch", "status-package"} <= found
    # A refusal that is a problem of its own is explained on the problem's page.
    assert found <= set(FINDINGS) | set(PROBLEMS)


def test_warnings_are_called_warnings_and_nothing_else_is() -> None:
    warned = written(r"\.warn", READER) | {"priority-mismatch", "addressee-repeated"}
    assert warned == {kind.code for kind in KINDS if kind.grade == "warning"}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.code for kind in KINDS])
def test_a_finding_is_explained_in_both_languages(kind: FindingKind) -> None:
    for text in (kind.what, kind.change):
        assert text.vi.strip()
        assert text.en.strip()
        assert text.vi != text.en
        assert "{value}" not in text.vi
