"""Small texts for people."""

from __future__ import annotations

import pytest

from sandbox_kernel.text import amount, closest, table


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1024.0 KiB"),
        (1024**2, "1.0 MiB"),
        (5 * 1024**3 // 2, "2.5 GiB"),
        (1024**4, "1.0 TiB"),
        (3000 * 1024**4, "3000.0 TiB"),
    ],
)
def test_an_amount_of_bytes(size: int, said: str) -> None:
    """A number of bytes is said in the unit that leaves it small, and in the largest when none does."""
    assert amount(size) == said


def test_columns_line_up() -> None:
    """Each column is as wide as its widest entry, the heading included, and no line ends in spaces."""
    assert table(["name", "x"], [["a", "long"], ["longer", ""]]) == "name    x\na       long\nlonger"


def test_a_table_without_rows_has_its_headings() -> None:
    """Nothing to show is no error."""
    assert table(["a", "b"], []) == "a  b"


def test_the_closest_name_is_asked_for() -> None:
    """Who mistyped is asked for the nearest name with its mark; who wrote something else is asked nothing."""
    assert closest("unod", ["undo", "log"], "%sandbox ") == "Did you mean %sandbox undo?"
    assert closest("zzz", ["undo", "log"]) == ""
    assert closest("", []) == ""
