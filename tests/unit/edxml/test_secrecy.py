import unicodedata
from collections.abc import Callable

import pytest

from shared.edxml import Packet, find_secrecy_mark
from shared.edxml.secrecy import find_mark_in_text
from shared.testing.packets import a_header, a_packet


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("(MẬT) Kế hoạch phòng thủ", "MẬT"),
        ("[TỐI MẬT] Kế hoạch", "TỐI MẬT"),
        ("Kế hoạch phòng thủ (TUYỆT MẬT)", "TUYỆT MẬT"),
        ("Kế hoạch phòng thủ (MẬT).", "MẬT"),
        ("MẬT - Kế hoạch", "MẬT"),
        ("MẬT: Kế hoạch", "MẬT"),
        ("TỐI MẬT – Kế hoạch", "TỐI MẬT"),
        ("Kế hoạch - MẬT", "MẬT"),
        ("Kế hoạch — TUYỆT  MẬT", "TUYỆT MẬT"),
        ("Độ mật: TỐI MẬT", "TỐI MẬT"),
        ("Kế hoạch\nMẬT", "MẬT"),
        ("MẬT\nKế hoạch", "MẬT"),
        ("MẬT\r\nKế hoạch", "MẬT"),
        ("MẬT", "MẬT"),
        (" TUYỆT MẬT ", "TUYỆT MẬT"),
        ("TUYỆT\u00a0MẬT: x", "TUYỆT MẬT"),
        ("M\u200bẬT: Kế hoạch", "MẬT"),
        (unicodedata.normalize("NFD", "(MẬT) Kế hoạch"), "MẬT"),
        ("( MẬT ) Kế hoạch", "MẬT"),
        ("\uff2d\u1eac\uff34: Kế hoạch", "MẬT"),
    ],
)
def test_a_mark_of_its_own_is_found(text: str, mark: str) -> None:
    assert find_mark_in_text(text) == mark


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Về việc tăng cường BẢO MẬT",
        "Kế hoạch: BẢO MẬT",
        "Kế hoạch - BÍ MẬT",
        "Kế hoạch (BẢO MẬT)",
        "BẢO MẬT: quy chế",
        "BÍ MẬT - quy chế",
        "Quy chế BẢO\nMẬT",
        "Quy chế BẢO - MẬT",
        "Quy định về bí mật nhà nước",
        "Mật - Kế hoạch",
        "(mật) Kế hoạch",
        "MẬT MÃ: quy chế",
        "MẬT ONG Ninh Thuận",
        "Danh mục tài liệu MẬT",
        "Công văn (MẬT) của Bộ về kế hoạch",
        "Kế hoạch về văn bản MẬT, TỐI MẬT và TUYỆT MẬT",
        "Về việc giải mật",
        "MẬTMA: x",
    ],
)
def test_a_word_in_a_sentence_is_no_mark(text: str) -> None:
    assert find_mark_in_text(text) is None


@pytest.mark.parametrize("name", ["Secrecy", "SecurityLevel", "DoMat", "SECRECY", "domat"])
@pytest.mark.parametrize("place", ["<edXML:Subject>", "<edXML:Priority>"])
@pytest.mark.parametrize(("value", "found"), [("1", True), ("Mật", True), ("", False), ("0", False), ("Thường", False)])
def test_an_element_that_grades_secrecy_is_a_mark_unless_it_says_none(
    read: Callable[..., Packet], name: str, place: str, value: str, found: bool
) -> None:
    octets = a_packet().replace(place.encode(), f"<edXML:{name}> {value} </edXML:{name}>{place}".encode())
    mark = find_secrecy_mark(read(octets))
    assert mark == (f"{name}: {value}" if found else None)


def test_subject_and_type_name_are_looked_at_and_named(read: Callable[..., Packet]) -> None:
    assert find_secrecy_mark(read(a_packet(subject="(MẬT) Kế hoạch"))) == "Subject: MẬT"
    assert find_secrecy_mark(read(a_packet(type_name="Công văn - TỐI MẬT"))) == "TypeName: TỐI MẬT"
    assert find_secrecy_mark(read(a_packet(header=a_header(subject="Kế hoạch")))) is None


def test_the_words_are_a_setting(read: Callable[..., Packet]) -> None:
    packet = read(a_packet(subject="(HẠN CHẾ) Kế hoạch"))
    assert find_secrecy_mark(packet) is None
    assert find_secrecy_mark(packet, ["hạn chế".upper()]) == "Subject: HẠN CHẾ"
