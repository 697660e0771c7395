"""Pure: what of a guest's output may reach a front end.

Output of a cell is not trusted. JupyterLab runs scripts in HTML of running cells with the user's session, and an ``isolated``
output is a frame of the same origin. So there is a list of types that may pass, each with content of its shape; markup passes
as :mod:`.markup` leaves it, or not at all, or with ``trusted`` as it is; and of metadata what an image needs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import markup

#: What becomes of markup, the default first.
WAYS = ("sanitized", "text", "trusted")
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
ALLOWED = ("text/plain", "application/json", *IMAGES)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")

_MIME = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
#: What IPython shows as the text of an object that is nothing but markup.
_NO_TEXT = re.compile(r"<IPython\.[\w.]+ (?:object|at 0x[0-9a-f]+)>|")
#: Types that are named when none of them is shown.
MOST_TYPES = 3
#: An id that is longer becomes its digest.
ID_LENGTH = 128

_SURROGATES = re.compile(r"[\ud800-\udfff]")

#: Escape sequences other than colours (``ESC [ ... m``), and control characters other than \\a \\b \\t \\n \\r.
_ESCAPES = re.compile(
    r"\x1b\[(?![0-9;:]*m)[0-?]*[ -/]*[@-~]?"  # CSI but SGR
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC (clipboard, links, titles), DCS, SOS, PM, APC
    r"|\x1b(?![\[\]PX^_])[ -/]*[0-~]?"  # two-character escapes
    r"|[\x00-\x06\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f\x80-\x9f]"
    r"|[\ud800-\udfff]",  # lone surrogates: no UTF-8 can carry them
    re.DOTALL,
)


def clean_text(text: str) -> str:
    """Return ``text`` without terminal sequences other than colours."""
    return _ESCAPES.sub("", text) if _ESCAPES.search(text) else text


def clean_word(text: str, most: int = 60) -> str:
    """Return ``text`` as what can stand in a line of ours: without breaks and terminal sequences, and bounded."""
    words = " ".join(clean_text(text[: 2 * most]).replace("\x1b", "").split())
    return words if len(words) <= most else words[: most - 3] + "..."


def clean_bundle(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the representations that may be shown, with the shape their type demands."""
    kept: dict[str, Any] = {}
    for mime, content in data.items():
        if mime == "text/plain" and isinstance(content, str):
            kept[mime] = clean_text(content)
        elif _fits(mime, content):
            kept[mime] = content
    return kept


def _fits(mime: str, content: Any) -> bool:
    if mime in IMAGES:
        return isinstance(content, str) and _BASE64.fullmatch(content) is not None
    return mime == "application/json" and _sendable(content)


def _sendable(content: Any) -> bool:
    return not _SURROGATES.search(json.dumps(content, ensure_ascii=False))


def clean_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes of images and the background they are drawn for, nothing else."""
    kept = {}
    for mime in IMAGES:
        said = metadata.get(mime)
        if isinstance(said, dict):
            values = {name: said[name] for name in ("width", "height") if type(said.get(name)) in (int, float)}
            if said.get("needs_background") in ("light", "dark"):
                values["needs_background"] = said["needs_background"]
            if values:
                kept[mime] = values
    return kept


def display_id(text: str) -> str:
    """Return the name of a display, of bounded length."""
    text = clean_text(text)
    return text if len(text) <= ID_LENGTH else hashlib.sha256(text.encode("utf-8")).hexdigest()


@dataclass(frozen=True)
class Policy:
    """What becomes of what a cell shows.

    Attributes:
        html: One of :data:`WAYS`: markup is cleaned, is left out, or passes as it is, scripts included.
        extra: More types that pass as they are.
    """

    html: str = WAYS[0]
    extra: frozenset[str] = frozenset()

    def bundle(self, data: Mapping[str, Any], also: Iterable[str] = ()) -> dict[str, Any]:
        """Return the representations that may be shown. ``also`` are types that the caller vouches for this once."""
        if self.html == "trusted":
            passed = {mime: content for mime, content in data.items() if _MIME.fullmatch(mime) and _sendable(content)}
            text = data.get("text/plain")
            return {**passed, "text/plain": clean_text(text)} if isinstance(text, str) else passed
        kept = clean_bundle(data)
        if self.html == "sanitized":
            kept.update(_clean_markup(data))
        for mime in (*self.extra, *also):
            if mime in data and _sendable(data[mime]):
                kept[mime] = data[mime]
        _fill_text(kept, data)
        return kept

    def metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a front end may obey of metadata."""
        if self.html == "trusted":
            return {name: item for name, item in metadata.items() if _sendable([name, item])}
        return clean_metadata(metadata)


def _clean_markup(data: Mapping[str, Any]) -> dict[str, str]:
    """Return what may be shown of the representations that are markup."""
    kept = {}
    texts = {mime: content for mime, content in data.items() if isinstance(content, str) and not _SURROGATES.search(content)}
    if (html := texts.get("text/html")) is not None and (cleaned := markup.clean_html(html)):
        kept["text/html"] = cleaned
    elif "image/svg+xml" in texts and not set(IMAGES) & set(texts) and (image := markup.svg_image(texts["image/svg+xml"])):
        kept["text/html"] = image
    if "text/latex" in texts and markup.is_safe_latex(texts["text/latex"]):
        kept["text/latex"] = texts["text/latex"]
    if "text/markdown" in texts and markup.is_safe_markdown(texts["text/markdown"]):
        kept["text/markdown"] = texts["text/markdown"]
    return kept


def _fill_text(kept: dict[str, Any], data: Mapping[str, Any]) -> None:
    """Where nothing but text is left, let the source stand for markup that has no other text, or say what is left out."""
    text = kept.get("text/plain", "")
    if kept.keys() - {"text/plain"}:
        return
    html = data.get("text/html")
    if isinstance(html, str) and len(html) > markup.MARKUP_BYTES:
        kept["text/plain"] = f"{text}\n[{len(html) / 2**20:.1f} MiB of HTML are not shown.]".lstrip()
        return
    for mime in ("text/markdown", "text/latex"):
        source = data.get(mime)
        if isinstance(source, str) and _NO_TEXT.fullmatch(text):
            kept["text/plain"] = clean_text(source)
            return
    if _NO_TEXT.fullmatch(text) and data.keys() - {"text/plain"}:
        kept["text/plain"] = f"{text}\n[{_why(data)}]".lstrip()


def _why(data: Mapping[str, Any]) -> str:
    """Say why nothing of a bundle is shown."""
    html = data.get("text/html")
    if isinstance(html, str) and markup.loads_pictures(html):
        return markup.NOT_LOADED % "OutputPolicy.html=trusted"
    words = sorted(clean_word(mime) for mime in data.keys() - {"text/plain"})
    named = ", ".join(words[:MOST_TYPES]) + (", ..." if len(words) > MOST_TYPES else "")
    return f"Not shown: {named}. OutputPolicy.html and OutputPolicy.extra_mime_types set what is; the README has the risks."
