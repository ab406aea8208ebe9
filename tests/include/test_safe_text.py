"""Text that reaches a terminal or a log."""

import unicodedata

import pytest

from include.twitter.safe_text import safe_lines, safe_text

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_every_control_separator_and_direction_of_unicode_is_shown_by_its_code_point():
    for code in range(0x110000):
        character = chr(code)
        is_unsafe = unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"}
        is_unsafe |= unicodedata.bidirectional(character) in BIDI or code in (0x200E, 0x200F, 0x061C)
        assert safe_text(character) == (f"[U+{code:04X}]" if is_unsafe else character), hex(code)


@pytest.mark.parametrize("text", ["A" * 2_000_000, "\x1b" * 1000, "A" * 301], ids=len)
def test_long_text_is_cut_with_its_length(text):
    safe = safe_text(text)
    assert len(safe) == 300
    assert safe.endswith(f"({len(text):,} characters)")
    assert safe_text(safe) == safe
    assert safe_text("A" * 300) == "A" * 300


def test_lines_stay_lines_and_each_is_safe():
    assert safe_lines("a\n\x1b[2Jb\r\n\n") == "a\n[U+001B][2Jb[U+000D]\n\n"
    assert len(safe_lines("A" * 2_000_000)) == 4000
