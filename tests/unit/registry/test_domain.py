"""Rules of the register: names, addresses, secrets."""

from datetime import date
from uuid import UUID

import pytest

from services.registry.domain.agency_table import read_table, select_rows
from services.registry.domain.key_requests import common_name
from services.registry.domain.names import fold_name, sort_key
from services.registry.domain.registrations import next_step
from services.registry.domain.vault import Unreadable, Vault, same
from services.registry.domain.webhooks import check_url
from services.registry.errors import WebhookInvalid
from shared.contracts.registry import RegistrationStatus

OWNER, OTHER = UUID(int=1), UUID(int=2)
HEADING = b"code,code102,name,level,kind,parent,gso_code,lat,lon,valid_from,valid_to"


def a_vault(pepper: str = "p" * 32, webhook_key: str = "w" * 32) -> Vault:
    return Vault(pepper=pepper, webhook_key=webhook_key)


def test_names_are_folded_whatever_their_form_and_case() -> None:
    decomposed = "Đắk Lắk"
    assert fold_name("ĐẮK  LẮK") == fold_name(decomposed) == fold_name("Dak Lak") == "dak lak"


@pytest.mark.parametrize(
    "names",
    [
        ["An Giang", "Ân Thi", "Ba", "Bà", "Bả", "Bã", "Bá", "Bạ", "Bắc", "Bậc"],
        ["Dầu", "Dương", "Đà Nẵng", "Đắk Lắk", "Ea"],
        ["Oa", "Ô Môn", "Ơ"],
        ["Tu", "Tư", "Va"],
        ["Hòa An", "Hòa Bình", "Hoa Lư"],
        ["Quận 2", "Quận 10", "Quận Ba Đình"],
        ["Phan", "Phan Rang", "Phan Rang - Tháp Chàm", "Phana"],
    ],
)
def test_names_are_sorted_as_a_vietnamese_would(names: list[str]) -> None:
    assert [name for _, name in sorted((sort_key(name), name) for name in names)] == names


def test_a_table_may_have_a_byte_order_mark_and_other_columns() -> None:
    line = "H43,,UBND,province,peoples_committee,,,,,2018-01-01,,ghi chú".encode()
    rows, errors = read_table(b"\xef\xbb\xbf" + HEADING + b",note\r\n" + line + b"\r\n")
    assert (len(rows), errors) == (1, [])


def test_a_row_is_valid_on_its_last_day_and_not_on_the_next() -> None:
    line = b"H43,,UBND,province,peoples_committee,,,,,2018-01-01,2025-06-30"
    rows, _ = read_table(HEADING + b"\n" + line)
    assert len(select_rows(rows, as_of=date(2025, 6, 30)).rows) == 1
    assert select_rows(rows, as_of=date(2025, 7, 1)).passed_over == 1
    assert select_rows(rows, as_of=date(2017, 12, 31)).passed_over == 1


@pytest.mark.parametrize("url", ["https://a.vn", "http://10.1.2.3:8080/x?y=%20", "https://[::1]/", "HTTPS://A.VN/"])
def test_an_address_that_can_be_called_is_taken(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.vn",
        "//a.vn",
        "ftp://a.vn",
        "file:///etc/passwd",
        "https://",
        "https://user@a.vn",
        "https://user:secret@a.vn",
        "https://a.vn/#part",
        "https://a.vn/#",
        "https://a.vn:0",
        "https://a.vn:99999",
        "https://a.vn:x",
        "https://[::1",
        "https://a.vn/ x",
        "https://a.vn/\n",
        "https://a.vn\\@b.vn",
        "https://đ.vn",
        "javascript:alert(1)",
    ],
)
def test_an_address_that_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(WebhookInvalid):
        check_url(url)


def test_a_secret_fits_only_its_own_credential_and_pepper() -> None:
    vault = a_vault()
    secret = vault.new_secret()
    stored = vault.digest_credential(OWNER, secret)
    assert same(stored, vault.digest_credential(OWNER, secret))
    assert not same(stored, vault.digest_credential(OTHER, secret))
    assert not same(stored, a_vault("q" * 32).digest_credential(OWNER, secret))
    assert not same(stored, vault.digest_claim(OWNER, secret))
    assert not same(None, stored)


def test_a_claim_token_is_derived_only_where_a_key_was_given() -> None:
    vault = a_vault()
    assert vault.claim_token(OWNER, "k") == vault.claim_token(OWNER, "k")
    assert vault.claim_token(OWNER, "k") != vault.claim_token(OTHER, "k")
    assert vault.claim_token(OWNER, None) != vault.claim_token(OWNER, None)


def test_a_webhook_secret_is_read_only_with_its_key_and_for_its_row() -> None:
    vault = a_vault()
    secret = vault.new_webhook_secret()
    sealed = vault.seal(OWNER, secret)
    assert secret.encode() not in sealed
    assert vault.unseal(OWNER, sealed) == secret
    for stranger, owner in ((vault, OTHER), (a_vault(webhook_key="x" * 32), OWNER)):
        with pytest.raises(Unreadable):
            stranger.unseal(owner, sealed)


def test_a_long_name_is_cut_at_a_whole_character() -> None:
    cut = common_name("Ủy ban nhân dân huyện Thuận Nam, tỉnh Ninh Thuận, nước Việt Nam")
    assert len(cut.encode()) <= 64
    assert "Ủy ban nhân dân huyện Thuận Nam".startswith(cut[:20])


def test_every_standing_says_who_is_next_in_both_languages() -> None:
    for status in RegistrationStatus:
        vietnamese, english = next_step(status, in_use=False).split(" / ")
        assert vietnamese
        assert english.isascii()
