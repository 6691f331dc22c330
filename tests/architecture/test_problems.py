"""
Whatever is refused anywhere, the gateway knows its status and says in both languages what to change.
"""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import gateway
import services
import shared
from gateway.problems import PROBLEMS, ProblemKind
from shared.errors import Rejected, RejectedElsewhere, Unavailable, UnavailableElsewhere

KINDS = sorted(PROBLEMS.values(), key=lambda kind: kind.code)
FIRST_SET = {
    401: {"token-missing", "token-invalid"},
    403: {"scope-missing", "agency-not-yours", "sender-not-yours"},
    404: {"not-found"},
    409: {
        "document-id-reused",
        "idempotency-key-reused",
        "request-in-progress",
        "acknowledgement-conflict",
        "not-fetched",
        "illegal-step",
    },
    410: {"already-handed-over"},
    411: {"length-required"},
    413: {"packet-too-large"},
    415: {"wrong-media-type"},
    400: {"body-incomplete"},
    422: {
        "packet-malformed",
        "packet-invalid",
        "document-id-missing",
        "addressees-refused",
        "secrecy-mark",
        "signature-missing",
        "signature-failed",
        "signer-not-bound",
    },
    429: {"too-many"},
    503: {"unavailable", "storage-low"},
}
"""Published; clients decide by them."""


def errors_of_the_house() -> list[type[Rejected | Unavailable]]:
    for package in (gateway, services, shared):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" not in module.name and "__main__" not in module.name:
                importlib.import_module(module.name)
    passed_on = {RejectedElsewhere, UnavailableElsewhere}
    own = (kind for root in (Rejected, Unavailable) for kind in descendants(root) if kind not in passed_on)
    return sorted(
        (kind for kind in own if kind.__module__.partition(".")[0] in {"gateway", "services", "shared"}),
        key=lambda kind: (kind.__module__, kind.__name__),
    )


def descendants(kind: type) -> Iterator[type]:
    yield kind
    for below in kind.__subclasses__():
        yield from descendants(below)


def test_every_refusal_has_its_problem() -> None:
    missing = {
        f"{kind.__module__}.{kind.__name__}: {kind.code}"
        for kind in errors_of_the_house()
        # The client library meets problems; it does not make them.
        if not kind.__module__.startswith("shared.client") and kind.code not in PROBLEMS
    }
    assert not missing


def test_the_status_agrees_with_whether_trying_again_is_useful() -> None:
    for kind in errors_of_the_house():
        if kind.code in PROBLEMS:
            status = PROBLEMS[kind.code].status
            assert (status == 503) == issubclass(kind, Unavailable), kind.code
            assert status < 500 or status == 503, kind.code


def test_every_refusal_says_what_happened_and_what_to_do() -> None:
    silent = {kind.__qualname__ for kind in errors_of_the_house() if not (kind.__doc__ or "").strip()}
    assert not silent


@pytest.mark.parametrize("status", sorted(FIRST_SET))
def test_the_published_codes_keep_their_statuses(status: int) -> None:
    assert {code: PROBLEMS[code].status for code in FIRST_SET[status]} == dict.fromkeys(FIRST_SET[status], status)


def test_the_table_holds_nothing_that_nobody_raises() -> None:
    raised = {kind.code for kind in errors_of_the_house()}
    published = {code for codes in FIRST_SET.values() for code in codes}
    from gateway.problems.proxy import PROXY

    by_the_proxy = {kind.code for kind in PROXY}
    assert by_the_proxy.isdisjoint(raised)
    assert set(PROBLEMS) - raised - published - by_the_proxy == {"internal-error"}


def test_no_code_stands_in_the_table_twice() -> None:
    from gateway.problems import access, http, proxy, receiving, registry, sending, vxp

    parts = (
        access.ACCESS,
        http.HTTP,
        proxy.PROXY,
        receiving.RECEIVING,
        registry.REGISTRY,
        sending.SENDING,
        vxp.VXP,
    )
    codes = [kind.code for part in parts for kind in part]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", KINDS, ids=[kind.code for kind in KINDS])
def test_a_problem_is_explained_in_both_languages(kind: ProblemKind) -> None:
    for text in (kind.title, kind.what, kind.why, kind.change):
        assert text.vi.strip()
        assert text.en.strip()
        assert text.vi != text.en
    assert kind.example
    assert kind.code == kind.code.lower()
    assert kind.retry or kind.retry_after is None
