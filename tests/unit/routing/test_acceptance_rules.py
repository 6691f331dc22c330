"""Who may be addressed, and what a signature must be worth."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from services.routing.domain.register import Mandate, Register
from services.routing.domain.submission import (
    asked_digest,
    judge_signature,
    priority_warning,
    resolve_addressees,
    split,
)
from services.routing.errors import AddresseesRefused, SignatureFailed, SignatureMissing, SignerNotBound
from shared.contracts.base import Lane
from shared.contracts.registry import AgencyEntry, Grant, Role, SealBinding, SystemEntry, SystemStatus
from shared.contracts.signing import Indication, SignatureReport, VerificationReport
from shared.errors import FieldError, Rejected

NOW = datetime(2024, 12, 31, 3, tzinfo=UTC)
DAY = timedelta(days=1)
SENDER = uuid4()
CERTIFICATE = "ab" * 32


def an_agency(
    code: str, *, key: UUID | None = None, code102: str | None = None, node: str = "H43", **validity: datetime
) -> AgencyEntry:
    return AgencyEntry(
        key=key or uuid4(),
        code=code,
        code102=code102,
        name=code,
        level="commune",
        kind="peoples_committee",
        valid_from=validity.get("valid_from", NOW - 100 * DAY),
        valid_to=validity.get("valid_to"),
        serving_node=node,
    )


def a_system(status: SystemStatus = SystemStatus.ACTIVE, role: Role = Role.SENDER, **binding: datetime) -> SystemEntry:
    seal = SealBinding(
        certificate_sha256=CERTIFICATE,
        valid_from=binding.get("valid_from", NOW - DAY),
        valid_to=binding.get("valid_to", NOW + DAY),
    )
    grant = Grant(agency_key=SENDER, role=role)
    return SystemEntry(
        id="s", name="s", dialect="rest", status=status, grants=(grant,), credentials=("c",), seals=(seal,)
    )


def a_report(*signatures: SignatureReport) -> VerificationReport:
    return VerificationReport(checked_at=NOW, signatures=signatures)


GOOD = SignatureReport(indication=Indication.PASSED, profile="axis-1", certificate_sha256=CERTIFICATE)
REVOKED = SignatureReport(indication=Indication.FAILED, sub_indication="REVOKED", profile="axis-1")
LATER = SignatureReport(indication=Indication.INDETERMINATE, sub_indication="TRY_LATER", profile="axis-1")


def judge(
    report: VerificationReport, system: SystemEntry | None = None, *, must_sign: bool = True
) -> tuple[FieldError, ...]:
    register = Register().with_changes(1, [], [system or a_system()])
    return judge_signature(report, must_sign=must_sign, register=register, sender_key=SENDER, at=NOW)


def test_both_forms_of_a_code_name_the_same_agency() -> None:
    agency = an_agency("H43.30.01", code102="000.01.30.H43")
    register = Register().with_changes(1, [agency], [])
    found = resolve_addressees(register, ["h43.30.01", "000.01.30.H43"], node_id="H43", at=NOW)
    assert found.keys == (agency.key,)
    assert [warning.code for warning in found.warnings] == ["addressee-repeated"]


def test_every_wrong_addressee_is_named_with_its_reason() -> None:
    register = Register().with_changes(
        1,
        [
            an_agency("H43.30"),
            an_agency("H43.31", valid_to=NOW),
            an_agency("H43.32", valid_from=NOW + DAY),
            an_agency("H44", node="H44"),
        ],
        [],
    )
    with pytest.raises(AddresseesRefused) as refused:
        resolve_addressees(register, ["H43.30", "H43.31", "H43.32", "H44", "H43.99"], node_id="H43", at=NOW)
    assert [(error.pointer[-10:-8], error.code) for error in refused.value.errors] == [
        ("2]", "addressee-closed"),
        ("3]", "addressee-closed"),
        ("4]", "addressee-not-served"),
        ("5]", "addressee-unknown"),
    ]


def test_a_code_that_was_given_to_a_successor_names_the_one_that_is_open() -> None:
    old = an_agency("H43.30", valid_to=NOW - DAY)
    new = an_agency("H43.30", valid_from=NOW - DAY)
    register = Register().with_changes(1, [old, new], [])
    assert resolve_addressees(register, ["H43.30"], node_id="H43", at=NOW).keys == (new.key,)


def test_the_digest_of_a_set_does_not_depend_on_order_or_case() -> None:
    assert asked_digest(["A", "b", "B"]) == asked_digest(["b ", "a"])


def test_a_good_seal_of_the_sender_is_accepted() -> None:
    assert judge(a_report(GOOD)) == ()


@pytest.mark.parametrize(
    ("report", "refusal"),
    [
        (a_report(), SignatureMissing),
        (a_report(GOOD.model_copy(update={"profile": None})), SignatureMissing),
        (a_report(REVOKED), SignatureFailed),
        (a_report(LATER), SignatureFailed),
        (a_report(GOOD, REVOKED), SignatureFailed),
        (a_report(GOOD.model_copy(update={"certificate_sha256": "cd" * 32})), SignerNotBound),
    ],
)
def test_anything_less_than_a_passed_seal_is_refused(report: VerificationReport, refusal: type[Rejected]) -> None:
    with pytest.raises(refusal):
        judge(report)


def test_the_refusal_carries_the_sub_indication_and_says_when_later_may_help() -> None:
    with pytest.raises(SignatureFailed) as refused:
        judge(a_report(LATER))
    assert [error.code for error in refused.value.errors] == ["try-later"]
    assert "again later" in refused.value.detail


@pytest.mark.parametrize(
    "system",
    [
        a_system(SystemStatus.DISABLED),
        a_system(role=Role.READER),
        a_system(valid_from=NOW + DAY),
        a_system(valid_to=NOW),
    ],
)
def test_a_seal_counts_only_while_bound_to_an_active_system_that_sends(system: SystemEntry) -> None:
    with pytest.raises(SignerNotBound):
        judge(a_report(GOOD), system)


def test_a_dialect_that_need_not_sign_gets_a_warning_instead() -> None:
    assert [warning.code for warning in judge(a_report(REVOKED), must_sign=False)] == ["signature-failed"]


def test_the_packet_decides_about_urgency_and_a_mismatch_is_a_warning() -> None:
    assert priority_warning(None, Lane.URGENT) == ()
    assert priority_warning(Lane.URGENT, Lane.URGENT) == ()
    assert [warning.code for warning in priority_warning(Lane.EXPRESS, Lane.ORDINARY)] == ["priority-mismatch"]


def test_addressees_are_cut_into_chunks_of_500() -> None:
    assert [len(chunk) for chunk in split([uuid4() for _ in range(1_201)])] == [500, 500, 201]
    assert split([]) == []


def test_a_mandate_covers_open_agencies_within_what_the_token_was_narrowed_to() -> None:
    mine, other, closed = an_agency("A01"), an_agency("A02"), an_agency("A03", valid_to=NOW)
    grants = tuple(Grant(agency_key=one.key, role=Role.READER) for one in (mine, other, closed))
    system = a_system().model_copy(update={"grants": grants})
    register = Register().with_changes(1, [mine, other, closed], [system])
    mandate = Mandate(register, system, "c", None, NOW)
    assert mandate.agencies(Role.READER) == tuple(sorted([mine.key, other.key]))
    assert mandate.agencies(Role.RECEIVER) == ()
    narrowed = Mandate(register, system, "c", frozenset({mine.key, closed.key}), NOW)
    assert narrowed.agencies(Role.READER) == (mine.key,)
    assert narrowed.has_role(other.key, Role.READER)
    assert not narrowed.may(other.key, Role.READER)
