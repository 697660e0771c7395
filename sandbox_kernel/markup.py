"""Pure: what of a guest's HTML, CSS, Markdown and LaTeX may stand in a page that holds the user's session.

HTML is parsed and written anew by nh3 (ammonia) with the lists below: nothing is looked for and removed, what is not on a
list is not there. Style sheets are written anew from the rules that begin with an id, the form of pandas' Styler; ids and
classes get a prefix, so that they name nothing of the page around. Markdown and LaTeX are rendered by the front end, so they
pass as they are or not at all.

A hostile document may also cost time: a parser needs the square of its depth, and of the attributes of an element. So both
are estimated first, from above, and a document that is too expensive is refused.
"""

from __future__ import annotations

import base64
import html as html_entities
import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import nh3

#: More markup than this is not shown: the kernel would stand still for it. Measured: 0.4 s for a table of 1 MiB, 5 MiB: 2 s.
MARKUP_BYTES = 2**20
#: Bounds of the estimates, each some 0.3 s. Over all tags: the depth at which they are; how many elements of
#: _FORMATTING are open there, which a parser may repeat at each; the squares of their attributes. And references.
DEPTHS = 3_000_000
REPEATED = 40_000
ATTRIBUTES = 300_000_000
REFERENCES = 40_000
#: Before ids and classes, so that they meet no script and no style of the page.
PREFIX = "sandbox-"

_TABLE = {"table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "colgroup", "col"}
_TEXT = {
    *("a", "abbr", "b", "bdi", "blockquote", "br", "center", "cite", "code", "dd", "del", "details", "dfn", "div", "dl"),
    *("dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li"),
    *("mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub", "summary", "sup", "tt", "u", "ul"),
    "var",
}
#: Left out with what is in them; of any other element only its tags are left out.
_GONE = {
    *("script", "style", "svg", "math", "template", "noscript", "iframe", "noframes", "noembed", "object", "title"),
    *("textarea", "select", "xmp", "plaintext"),
    # What stands in these is for who cannot play them.
    *("audio", "video", "canvas"),
}
_CELL = {"colspan", "rowspan", "align", "valign", "scope"}
_ATTRIBUTES = {
    "*": {"class", "id", "style", "title", "hidden", "dir", "lang"},
    "table": {"border", "align"},
    "th": _CELL,
    "td": _CELL,
    "tr": {"align", "valign"},
    "col": {"span"},
    "colgroup": {"span"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start", "type"},
    "details": {"open"},
}
#: What cannot cover, move or load anything. ``display`` is for attributes alone: a style sheet could show what is hidden.
_PROPERTIES = {
    *("background", "background-color", "border-collapse", "border-color", "border-radius", "border-spacing"),
    *("border-style", "border-width", "caption-side", "color", "font-family", "font-size", "font-style", "font-variant"),
    *("font-weight", "height", "line-height", "max-height", "max-width", "min-height", "min-width", "opacity"),
    *("text-align", "text-decoration", "text-transform", "vertical-align", "white-space", "width", "word-break"),
    *(f"{what}{side}" for what in ("border", "margin", "padding") for side in ("", "-top", "-right", "-bottom", "-left")),
}

#: No url(), no var(), no escape, no quote; and no negative number, which would draw over what is not ours.
_VALUE = re.compile(r"(?:[\w#%.,+ \t\r\n]|-(?![\d.])|(?:rgba?|hsla?|linear-gradient)\(|\))+", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][\w-]{0,99}", re.ASCII)
_LINK = re.compile(r"https?://[^\s]+|mailto:[^\s]+", re.IGNORECASE)
_PIXELS = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
#: What the value of an attribute must be.
_VALUES = {
    "id": _NAME,
    "href": _LINK,
    "src": _PIXELS,
    **dict.fromkeys(("border", "colspan", "rowspan", "span", "start"), re.compile(r"\d{1,4}", re.ASCII)),
    **dict.fromkeys(("width", "height"), re.compile(r"\d{1,5}(?:px|%)?", re.ASCII)),
}
#: ``#id``, and below it elements, classes, ids. The first group is between two names.
_SELECTOR_PART = re.compile(r"(\s*>\s*|\s+|)([#.]?)([A-Za-z_][\w-]*)", re.ASCII)
_PSEUDO = re.compile(r":(?:hover|first-child|last-child|nth-child\((?:\d+|odd|even)\))", re.ASCII)
_ELEMENTS = _TABLE | _TEXT

#: As nh3 writes them: every value in double quotes.
_LOST_PICTURE = re.compile(r'<img(?:\s+(?!src=)[\w-]+="[^"]*")*\s*/?>')
_ANY_TAG = re.compile(r'<(?:"[^"]*"|[^<>"])*>')
_ALT = re.compile(r'\salt="([^"]*)"')
#: So many lost pictures are shown where they were, with so much of their text.
MOST_TRACES = 100
MOST_OF_ALT = 100
#: What is seen without text: pictures, rules, tables with their lines, boxes of a colour.
_DRAWN = re.compile(r"<(?:img|hr|table|details)\b|<[^<>]*\sstyle=")
_LOADING = re.compile(r"<(?:img|video|audio|source|iframe|embed)\b[^<>]*\ssrc\s*=\s*[\"']?\s*(?:https?:)?//", re.IGNORECASE)

#: Why something is not shown, given the setting that would show it.
NOT_LOADED = (
    "What lies in the network is not loaded: it would tell somebody that and when you look. %s"
    " loads it, and lets the cell act as you in Jupyter."
)
_NO_PICTURE = (
    "Pictures are shown when they lie within the output, as PNG, JPEG, GIF or WebP. %s"
    " shows all, and lets the cell act as you in Jupyter."
)

_TAG = re.compile(r"<(/?)([A-Za-z][^\s<>/]*)")
#: A tag that every parser reads alike. One that is not is counted at its worst.
_PLAIN_TAG = re.compile(r"<[A-Za-z][\w:-]*((?:\s+[^\s\"'<>=/]+(?:\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>=`]+))?)*)\s*/?>")
_PLAIN_END = re.compile(r"</[A-Za-z][\w:-]*\s*>")
_ATTRIBUTE = re.compile(r"\s+[^\s\"'<>=/]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'=`]+))?")
_EMPTY = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_FORMATTING = {*("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u")}
_DECLARATION = re.compile(r"<![^<>]*>")
_NO_TAG = re.compile(r"<(?=[!?]|/(?![A-Za-z]))")

#: Commands with which LaTeX reaches the page: links, classes, ids, styles, attributes, extensions, and own definitions.
_REACHING = re.compile(
    r"\\(?:href|url|class|style|cssId|data|html\w*|require|bbox|mmlToken|unicode|includegraphics|csname|[gex]?def|let|"
    r"(?:re|provide)?newcommand|providecommand|(?:re)?newenvironment|DeclareMathOperator|Newextarrow|texttip|mathtip|toggle)"
    r"(?![A-Za-z])|\\[a-z]{0,20}color|<tex-html",
    re.IGNORECASE,
)
_PLAIN_COLOR = re.compile(r"\\(?:textcolor|colorbox|color) ?\{[A-Za-z]{1,30}\}")
#: Where a front end looks for LaTeX in other text.
_LATEX_BEGINS = re.compile(r"\$|\\[(\[]|\\begin\b")
_MARKDOWN_LINK = re.compile(r"(?<!!)\[[^\[\]!\\`<>]*\]\((?:https?://|mailto:)[\w.,/?=&%#~:+@-]+\)", re.ASCII)
#: HTML, other links, definitions and images; entities, which may spell LaTeX; diagrams.
_MARKDOWN_DANGER = re.compile(r"<|\]\s*[(:\[]|!\[|&#|&\w{1,31};|mermaid", re.IGNORECASE)


def clean_html(html: str, setting: str = "OutputPolicy.html=trusted") -> str | None:
    """Return the HTML that may be shown, which may be empty. None: it is too large, or would take too long to look at.

    In the place of a picture that may not be shown are its words, and at the end is why, and which ``setting`` shows it.
    """
    if len(html) > MARKUP_BYTES:
        return None
    html = _without_comments(html)
    if not _affordable(html):
        return None
    style = "\n".join(_rules(_style_sheets(html)))
    cleaned = _cleaner().clean(html)
    if not _shows(cleaned):
        return ""
    cleaned = _with_traces(cleaned, (NOT_LOADED if loads_pictures(html) else _NO_PICTURE) % setting)
    if not _is_safe_around_latex(cleaned):
        return ""
    return f"<style>\n{style}\n</style>\n{cleaned}" if style else cleaned


def _shows(cleaned: str) -> bool:
    """Tell whether there is anything to see in what nh3 has written: a picture without a source is nothing."""
    left = _LOST_PICTURE.sub("", cleaned)
    return bool(_DRAWN.search(left) or html_entities.unescape(_ANY_TAG.sub("", left)).strip())


def _with_traces(cleaned: str, why: str) -> str:
    """Let a few words stand where nh3 has left a picture without a source, and ``why`` at the end."""
    traced, count = _LOST_PICTURE.subn(_trace, cleaned, MOST_TRACES)
    return f"{_LOST_PICTURE.sub('', traced)}\n<p><small>[{why}]</small></p>" if count else cleaned


def _trace(picture: re.Match[str]) -> str:
    found = _ALT.search(picture.group())
    words = " ".join(html_entities.unescape(found.group(1)).split()) if found else ""
    words = words if len(words) <= MOST_OF_ALT else words[: MOST_OF_ALT - 3] + "..."
    return f"<small>[picture: {html_entities.escape(words, quote=False)}]</small>" if words else "<small>[picture]</small>"


def loads_pictures(html: str) -> bool:
    """Tell whether HTML has a picture, a sound or a page to load from the network."""
    return len(html) <= MARKUP_BYTES and _LOADING.search(html) is not None


@cache
def _cleaner() -> nh3.Cleaner:
    import nh3  # noqa: PLC0415 - executors do not need it

    return nh3.Cleaner(
        tags=_ELEMENTS,
        clean_content_tags=_GONE,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "data"},
        url_relative="deny",
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _attribute(_: str, name: str, value: str) -> str | None:
    """Return what an attribute becomes; None: it is left out."""
    if name == "style":
        return "; ".join(_declarations(value, inline=True)) or None
    if name == "class":
        return " ".join(PREFIX + word for word in value.split() if _NAME.fullmatch(word)) or None
    pattern = _VALUES.get(name)
    if pattern is not None and not pattern.fullmatch(value):
        return None
    return PREFIX + value if name == "id" else value


# -- style


def _declarations(text: str, *, inline: bool) -> list[str]:
    kept = []
    for declaration in text.split(";"):
        name, colon, value = declaration.partition(":")
        name, value = name.strip().lower(), value.strip().removesuffix("!important").strip()
        known = name in _PROPERTIES or (inline and name == "display")
        if colon and known and _VALUE.fullmatch(value) and value.count("(") == value.count(")"):
            kept.append(f"{name}: {value}")
    return kept


def _style_sheets(html: str) -> str:
    """Return what stands in style elements, or might. Linear, whatever comes."""
    pieces = re.split(r"<style[^<>]*>", html, flags=re.IGNORECASE)[1:]
    css = "\n".join(re.split(r"</style", piece, maxsplit=1, flags=re.IGNORECASE)[0] for piece in pieces)
    first, *commented = css.split("/*")
    return first + "".join(piece.partition("*/")[2] for piece in commented)


def _rules(css: str) -> list[str]:
    """Return the rules for what is below an id of the output's own, written anew."""
    rules = []
    for block in css.split("}"):
        selectors, brace, body = block.rpartition("{")
        if not brace:
            continue
        kept = [made for made in map(_selector, selectors.split(",")) if made]
        declarations = _declarations(body, inline=False)
        if kept and declarations:
            rules.append(f"{', '.join(kept)} {{ {'; '.join(declarations)} }}")
    return rules


def _selector(text: str) -> str | None:
    """Return a selector that begins with an id, with our prefixes; None: it is another one."""
    text, at, made = text.strip(), 0, ""
    if len(text) > 300:
        return None
    while at < len(text):
        pseudo = _PSEUDO.match(text, at) if made else None
        if pseudo is not None:
            made, at = made + pseudo.group(), pseudo.end()
            continue
        part = _SELECTOR_PART.match(text, at)
        if part is None:
            return None
        between, mark, name = part.groups()
        if (not made and mark != "#") or (not mark and (name not in _ELEMENTS or not between)):
            return None
        made += f"{between and (' > ' if '>' in between else ' ')}{mark}{PREFIX + name if mark else name}"
        at = part.end()
    return made or None


# -- cost


def _without_comments(html: str) -> str:
    """Leave out comments and declarations, and make text of what a parser would take for an odd one."""
    first, *pieces = html.split("<!--")
    html = first + "".join(end[2] if (end := piece.partition("-->"))[1] else "&lt;!--" + piece for piece in pieces)
    return _NO_TAG.sub("&lt;", _DECLARATION.sub("", html))


def _affordable(html: str) -> bool:
    """Tell whether a parser is done with it soon. Errs on one side: what is not nested properly counts as nested."""
    if html.count("&") > REFERENCES:
        return False
    depth: list[str] = []
    depths = formatting = repeated = attributes = 0
    plain = True
    for tag in _TAG.finditer(html):
        name = tag.group(2).lower()
        depths += len(depth)
        repeated += formatting
        if tag.group(1):
            if plain and depth and depth[-1] == name and _PLAIN_END.match(html, tag.start()):
                depth.pop()
                formatting -= name in _FORMATTING
        else:
            known = _PLAIN_TAG.match(html, tag.start())
            plain = plain and known is not None  # After another a quote may hide what we would take for an end.
            attributes += _attributes(html, tag, known) ** 2
            if name not in _EMPTY:
                depth.append(name)
                formatting += name in _FORMATTING
        if depths > DEPTHS or repeated > REPEATED or attributes > ATTRIBUTES:
            return False
    return True


def _attributes(html: str, tag: re.Match[str], known: re.Match[str] | None) -> int:
    """Return how many attributes a tag may have."""
    if known is not None:
        return len(_ATTRIBUTE.findall(known.group(1))) if known.group(1) else 0
    end = html.find("<", tag.end())
    return ((end if end >= 0 else len(html)) - tag.end()) // 2


# -- other markup


def svg_image(svg: str) -> str | None:
    """Return HTML that shows an SVG as an image: there it runs nothing and loads nothing, wherever it is inserted."""
    if len(svg) > MARKUP_BYTES or "<svg" not in svg:
        return None
    if "xmlns" not in svg:
        svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    data = base64.b64encode(svg.encode("utf-8", "replace")).decode("ascii")
    return f'<img src="data:image/svg+xml;base64,{data}">'


def is_safe_latex(text: str) -> bool:
    """Tell whether MathJax makes nothing but formulas of it."""
    return len(text) <= MARKUP_BYTES and _REACHING.search(_PLAIN_COLOR.sub("", text)) is None


def _is_safe_around_latex(text: str) -> bool:
    """Tell the same of text in which the front end looks for formulas."""
    return _LATEX_BEGINS.search(text) is None or is_safe_latex(text)


def is_safe_markdown(text: str) -> bool:
    """Tell whether it renders without HTML, images and links other than plain ones to the web."""
    if len(text) > MARKUP_BYTES or not _is_safe_around_latex(text):
        return False
    return _MARKDOWN_DANGER.search(_MARKDOWN_LINK.sub("link", text)) is None
