"""Pure: what of a guest's output may reach a front end.

Output of a cell is not trusted. JupyterLab runs scripts in HTML of running cells with the user's session, and an ``isolated``
output is a frame of the same origin, so types that are markup or code are left out, and metadata but the size of an image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
ALLOWED = ("text/plain", "application/json", *IMAGES)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")

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
    return mime == "application/json" and not _SURROGATES.search(json.dumps(content, ensure_ascii=False))


def clean_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes of images, nothing else."""
    kept = {}
    for mime in IMAGES:
        size = metadata.get(mime)
        if isinstance(size, dict):
            numbers = {name: size[name] for name in ("width", "height") if type(size.get(name)) in (int, float)}
            if numbers:
                kept[mime] = numbers
    return kept
