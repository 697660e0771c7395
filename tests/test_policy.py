"""What of a guest's output may reach a front end."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from sandbox_kernel import policy

ESC = "\x1b"
ST = "\x1b\\"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("plain \u00e4 \u20ac \U0001f600\n", id="text of all scripts"),
        pytest.param("a\rb\x08c\td\n", id="carriage return, backspace, tab, newline"),
        pytest.param("\a", id="bell"),
        pytest.param(f"{ESC}[31mred{ESC}[0m", id="a colour"),
        pytest.param(f"{ESC}[m", id="reset"),
        pytest.param(f"{ESC}[1;38;5;208m", id="256 colours"),
        pytest.param(f"{ESC}[38;2;1;2;3m{ESC}[4:3m", id="true colour and colons"),
        pytest.param("[31m ]0;title", id="no escape at all"),
    ],
)
def test_text_and_colours_stay(text: str) -> None:
    """Text, colours and the characters that move within a line are the cell's own business."""
    assert policy.clean_text(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"a{ESC}]52;c;cm0gLXJm\x07b", "ab", id="clipboard, ended by BEL"),
        pytest.param(f"a{ESC}]52;c;cm0gLXJm{ST}b", "ab", id="clipboard, ended by ST"),
        pytest.param(f"{ESC}]8;;http://evil{ST}click{ESC}]8;;{ST}", "click", id="link"),
        pytest.param(f"{ESC}]0;title\x07a", "a", id="title"),
        pytest.param(f"{ESC}]2;ti\ntle\x07a", "a", id="title over two lines"),
        pytest.param(f"{ESC}]1337;File=inline=1:AAAA\x07a", "a", id="iTerm2's files"),
        pytest.param(f"a{ESC}]52;c;never ended", "a", id="an OSC without an end"),
        pytest.param(f"{ESC}P+q544e{ST}a", "a", id="DCS"),
        pytest.param(f"{ESC}Pq#0;2;0;0;0{ST}a", "a", id="sixel"),
        pytest.param(f"{ESC}Xsos{ST}a{ESC}^pm{ST}b{ESC}_apc{ST}c", "abc", id="SOS, PM, APC"),
        pytest.param(f"{ESC}[6na", "a", id="where is the cursor"),
        pytest.param(f"{ESC}[ca{ESC}[>0cb", "ab", id="who are you"),
        pytest.param(f"{ESC}[21ta", "a", id="what is the title"),
        pytest.param(f"{ESC}[2J{ESC}[Ha", "a", id="clear and home"),
        pytest.param(f"a{ESC}[1A{ESC}[10Db", "ab", id="cursor up and left"),
        pytest.param(f"{ESC}[?1049ha{ESC}[?25l", "a", id="private modes"),
        pytest.param(f"{ESC}[?1000m{ESC}[>4;2ma", "a", id="what ends in m and is no colour"),
        pytest.param(f"{ESC}[4 qa", "a", id="a cursor's shape"),
        pytest.param(f"{ESC}[31 ma", "a", id="an intermediate byte before m"),
        pytest.param(f"{ESC}ca", "a", id="reset"),
        pytest.param(f"{ESC}(0a{ESC}#8b", "ab", id="character sets"),
        pytest.param(f"{ESC}7a{ESC}8b{ESC}=c", "abc", id="save and restore"),
        pytest.param(f"{ESC}%Ga", "a", id="UTF-8"),
        pytest.param("\x9b31mred\x9d52;c;AAAA\x9ca", "31mred52;c;AAAAa", id="C1 controls"),
        pytest.param("\u0085\u0090\u009fa", "a", id="other C1"),
        pytest.param("a\x00\x07b\x0b\x0c\x0e\x0f\x7fc", "a\x07bc", id="C0 controls"),
        pytest.param(f"a{ESC}", "a", id="a lone ESC at the end"),
        pytest.param(f"a{ESC}[", "a", id="ESC [ at the end"),
        pytest.param(f"a{ESC}[31", "a", id="half a colour at the end"),
        pytest.param(f"a{ESC}{ESC}[31mb", f"a{ESC}[31mb", id="two ESC"),
        pytest.param(f"{ESC}{ESC}]0;x\x07a", "a", id="an ESC before an OSC"),
        pytest.param(f"{ESC}\x00]52;c;A\x07a", "]52;c;A\x07a", id="a NUL within: nothing is left to obey"),
        pytest.param(f"{ESC}[\x003mx", "3mx", id="a NUL within a colour"),
        pytest.param(f"{ESC}[3{ESC}[31m1mx", f"{ESC}[31m1mx", id="a colour within a colour"),
    ],
)
def test_what_a_terminal_would_obey_is_left_out(text: str, expected: str) -> None:
    """Clipboard, links, titles, queries, cursor, modes, strings and C1 are removed, and what is around them stays."""
    assert policy.clean_text(text) == expected


#: All that may be left of escapes: colours.
ONLY_COLOURS = re.compile(r"(?:[^\x00-\x06\x0b-\x0c\x0e-\x1f\x7f-\x9f]|\x1b\[[0-9;:]*m)*")
PIECES = [ESC, "[", "]", "m", "31", ";", "52;c;AA", "\x07", ST, "P", "X", "\x9b", "\x9d", "?", " ", "A", "\x00", "\n", "c"]


@pytest.mark.parametrize("seed", range(5))
def test_no_mixture_leaves_more_than_colours(seed: int) -> None:
    """Of any mixture of pieces only text and whole colours are left, and cleaning it again changes nothing."""
    chance = random.Random(seed)
    for _ in range(3000):
        text = "".join(chance.choices(PIECES, k=chance.randrange(12)))
        clean = policy.clean_text(text)
        assert ONLY_COLOURS.fullmatch(clean), ascii(text)
        assert policy.clean_text(clean) == clean


@pytest.mark.parametrize("seed", range(5))
def test_a_sequence_in_two_chunks_is_not_smuggled(seed: int) -> None:
    """A sequence that is divided over chunks leaves its letters as text and nothing that a terminal obeys when joined."""
    chance = random.Random(seed)
    for _ in range(3000):
        text = "".join(chance.choices(PIECES, k=chance.randrange(12)))
        cuts = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        chunks = [text[: cuts[0]], text[cuts[0] : cuts[1]], text[cuts[1] :]]
        assert ONLY_COLOURS.fullmatch("".join(policy.clean_text(chunk) for chunk in chunks)), ascii(chunks)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param([ESC, "]52;c;cm0gLXJm\x07"], "]52;c;cm0gLXJm\x07", id="clipboard"),
        pytest.param([f"{ESC}[3", "1mred"], "1mred", id="a colour"),
        pytest.param([f"{ESC}]0;ti", "tle\x07a"], "tle\x07a", id="title"),
    ],
)
def test_a_divided_sequence_is_shown_as_text(chunks: list[str], expected: str) -> None:
    """What a chunk's end cuts off a sequence is harmless text in the next chunk; a colour is lost by it."""
    assert "".join(policy.clean_text(chunk) for chunk in chunks) == expected


def test_cleaning_takes_linear_time() -> None:
    """A megabyte of what looks like the beginning of sequences is cleaned like any other; the timeout of tests tells."""
    for piece in (f"{ESC}[", f"{ESC}]", f"{ESC}[1;", f"{ESC}]x{ESC}", f"{ESC}[1 ", ESC):
        policy.clean_text(piece * (2**20 // len(piece)))
    policy.clean_text(f"{ESC}[" + "1;" * 2**19 + "x")


def test_what_utf8_cannot_hold_is_replaced() -> None:
    """A lone surrogate, which JSON from a guest may hold, is no text."""
    policy.clean_text("a\ud800b").encode("utf-8")


# -- bundles -----------------------------------------------------------------------------------------------------------

PNG = "iVBORw0KGgo="


@pytest.mark.parametrize(
    ("mime", "content"),
    [
        ("text/plain", "a"),
        ("text/plain", ""),
        ("image/png", PNG),
        ("image/png", PNG + "\n"),
        ("image/jpeg", "/9j/4AAQ"),
        ("image/gif", "R0lGODlh"),
        ("image/webp", "UklGRg=="),
        ("application/json", {"a": [1, None, "b"]}),
        ("application/json", None),
        ("application/json", "text"),
    ],
)
def test_these_types_are_shown(mime: str, content: Any) -> None:
    """Plain text, four kinds of images and JSON pass as they are."""
    assert policy.clean_bundle({mime: content}) == {mime: content}


@pytest.mark.parametrize(
    ("mime", "content"),
    [
        ("text/html", "<b>a</b>"),
        ("text/markdown", "[a](javascript:x)"),
        ("text/latex", "$a$"),
        ("image/svg+xml", "<svg/>"),
        ("application/javascript", "alert(1)"),
        ("application/pdf", "JVBERi0="),
        ("application/vnd.jupyter.widget-view+json", {"model_id": "a"}),
        ("application/vnd.vega.v5+json", {}),
        ("application/json+x", {}),
        ("TEXT/PLAIN", "a"),
        ("image/PNG", PNG),
        ("image/png ", PNG),
        ("", "a"),
        # A type with the content of another.
        ("text/plain", ["a"]),
        ("text/plain", {"a": "b"}),
        ("text/plain", 7),
        ("text/plain", None),
        ("image/png", {"data": PNG}),
        ("image/png", [PNG]),
        ("image/png", None),
        ("image/png", "<svg onload=alert(1)>"),
        ("image/png", 'x" onerror="alert(1)'),
        ("image/png", "data:image/svg+xml,x"),
        ("image/jpeg", "\u0410"),
    ],
)
def test_nothing_else_is_shown(mime: str, content: Any) -> None:
    """Markup, scripts, unknown types and content of the wrong shape are left out, and what is beside them stays."""
    assert policy.clean_bundle({mime: content, "image/webp": PNG}) == {"image/webp": PNG}


def test_plain_text_of_a_bundle_is_cleaned() -> None:
    """The text of a value is as little trusted as a stream."""
    assert policy.clean_bundle({"text/plain": f"a{ESC}]0;x\x07{ESC}[31mb"}) == {"text/plain": f"a{ESC}[31mb"}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({"image/png": {"width": 3, "height": 4.5}}, {"image/png": {"width": 3, "height": 4.5}}, id="a size"),
        pytest.param({"image/png": {"width": 3, "isolated": True}}, {"image/png": {"width": 3}}, id="isolated"),
        pytest.param({"image/png": {"unconfined": True, "needs_background": "no"}}, {}, id="nothing left"),
        pytest.param(
            {"image/png": {"needs_background": "light"}}, {"image/png": {"needs_background": "light"}}, id="a background"
        ),
        pytest.param({"isolated": True, "text/html": {"isolated": True}}, {}, id="other types"),
        pytest.param({"image/png": {"width": "3", "height": True}}, {}, id="no numbers"),
        pytest.param({"image/png": {"width": [3], "height": None}}, {}, id="no numbers either"),
        pytest.param({"image/png": [3], "image/jpeg": "x", "image/gif": None}, {}, id="no objects"),
        pytest.param({"image/svg+xml": {"width": 3}}, {}, id="a type that is not shown"),
    ],
)
def test_of_metadata_the_size_of_images_stays(metadata: dict[str, Any], expected: dict[str, Any]) -> None:
    """A front end obeys metadata, so only size and background of allowed images pass."""
    assert policy.clean_metadata(metadata) == expected
