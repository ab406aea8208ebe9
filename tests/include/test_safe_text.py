"""Text that reaches a terminal or a log."""

import unicodedata

import pytest

from include.twitter.safe_text import safe_lines, safe_text

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_what_acts_on_a_terminal_or_breaks_a_line_is_shown_by_its_code_point():
    assert safe_text("a\x1b[31mb\r\nc\x9b\u2028d\u202ee\t") == (
        "a[U+001B][31mb[U+000D][U+000A]c[U+009B][U+2028]d[U+202E]e[U+0009]"
    )


def test_every_control_separator_and_direction_of_unicode_is_shown():
    for code in range(0x110000):
        each = chr(code)
        is_unsafe = unicodedata.category(each) in {"Cc", "Zl", "Zp", "Cs"}
        is_unsafe |= unicodedata.bidirectional(each) in BIDI or code in (0x200E, 0x200F, 0x061C)
        assert (safe_text(each) != each) is is_unsafe, hex(code)


@pytest.mark.parametrize("text", ["café 👩‍🚀 日本語 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "العربية", "", r"C:\new", "[U+001B]"])
def test_plain_text_of_any_language_stays_as_it_is(text):
    assert safe_text(text) == text


@pytest.mark.parametrize("text", ["A" * 20_000_000, "\x1b" * 1000, "A" * 301], ids=len)
def test_long_text_is_cut_and_tells_how_long_it_was(text):
    safe = safe_text(text)
    assert len(safe) == 300
    assert safe.endswith(f"({len(text):,} characters)")
    assert safe_text(safe) == safe


def test_text_of_the_longest_length_is_whole():
    assert safe_text("A" * 300) == "A" * 300


def test_what_is_no_text_is_shown_as_one():
    assert safe_text(["\x1b"]) == r"['\x1b']"
    assert safe_text(None) == "None"


def test_lines_stay_lines_and_each_is_safe():
    assert safe_lines("a\n\x1b[2Jb\r\n\n") == "a\n[U+001B][2Jb[U+000D]\n\n"
    assert len(safe_lines("A" * 20_000_000)) == 4000
