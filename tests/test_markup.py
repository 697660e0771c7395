"""What becomes of a guest's markup: attacks, and what must still show."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from IPython import display
from IPython.core.formatters import DisplayFormatter

from sandbox_kernel import markup, policy

PNG = "iVBORw0KGgo="
#: What may be there, in words of this test's own.
TAGS = re.compile(
    "a|abbr|b|bdi|blockquote|br|caption|center|cite|code|col|colgroup|dd|del|details|dfn|div|dl|dt|em|figcaption|figure|h[1-6r]|"
    "i|img|ins|kbd|li|mark|ol|p|pre|q|s|samp|small|span|strong|style|su[bp]|summary|table|t[dhrt]|tbody|tfoot|thead|ul?|var"
)
ATTRIBUTES = re.compile(
    "align|alt|border|class|colspan|dir|height|hidden|href|id|lang|open|rel|rowspan|scope|span|src|start|style|target|title|type|"
    "valign|width"
)


class Harmless(HTMLParser):
    """Reads HTML with another parser and other rules than ours and fails for what could do something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.styles = 0
        assert "<!" not in html
        assert "<?" not in html
        self.feed(html)
        self.close()
        assert self.styles <= 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert TAGS.fullmatch(tag)
        self.styles += tag == "style"
        for name, value in attrs:
            value = value or ""
            assert ATTRIBUTES.fullmatch(name)
            assert name != "href" or re.match(r"https?://|mailto:", value, re.IGNORECASE)
            assert name != "src" or re.fullmatch(r"data:image/(png|jpeg|gif|webp);base64,[\w+/=\s]*", value)
            assert name not in ("id", "class") or all(word.startswith("sandbox-") for word in value.split())
            assert name != "style" or not re.search(r"url|expression|position|import|\\|/\*|fixed|var\(|@|<", value)

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style" and self.cdata_elem:
            assert not re.search(r"url|expression|position|import|\\|/\*|fixed|var\(|@|<|display", data)
            rules = data.split("}")
            assert all(not rule.strip() or rule.strip().startswith("#sandbox-") for rule in rules)


ATTACKS = {
    "script": "<script>alert(1)</script>",
    "script in capitals": "<ScRiPt SRC=//e.e/x.js></sCrIpT>",
    "script that is not closed": "<script>alert(1)",
    "script in a script": "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "a slash for a space": "<img/src='x'/onerror=alert(1)>",
    "onerror": "<img src=x onerror=alert(1)>",
    "onload": "<body onload=alert(1)>",
    "onmouseover": "<b onmouseover=alert(1)>b</b>",
    "ontoggle": "<details open ontoggle=alert(1)>",
    "onfocus": "<a href=https://e tabindex=1 autofocus onfocus=alert(1)>a</a>",
    "onanimationstart": "<p style='animation-name:x' onanimationstart=alert(1)>",
    "a handler after a newline": "<p\nonclick\n=\nalert(1)>",
    "a handler after a quote": '<p title="a"onclick=alert(1)>',
    "javascript:": "<a href=javascript:alert(1)>a</a>",
    "javascript: in capitals": "<a href=JaVaScRiPt:alert(1)>a</a>",
    "javascript: with entities": "<a href='&#106;&#x61;vascript&colon;alert(1)'>a</a>",
    "javascript: without semicolons": "<a href=&#0000106&#0000097vascript:alert(1)>a</a>",
    "javascript: with a tab": "<a href='java\tscript:alert(1)'>a</a>",
    "javascript: with a newline": "<a href='java&NewLine;script:alert(1)'>a</a>",
    "javascript: after controls": "<a href=' \x01\x02javascript:alert(1)'>a</a>",
    "javascript: in an image": "<img src=javascript:alert(1)>",
    "vbscript:": "<a href=vbscript:x>a</a>",
    "data:text/html": "<a href='data:text/html,<script>alert(1)</script>'>a</a>",
    "data:text/html in base64": "<a href='data:text/html;base64,PHNjcmlwdD4='>a</a>",
    "an image that is HTML": "<img src='data:text/html,x'>",
    "an image that is SVG": "<img src='data:image/svg+xml;base64,PHN2Zz4='>",
    "blob:": "<a href='blob:https://e/x'>a</a>",
    "file:": "<a href='file:///etc/passwd'>a</a>",
    "a path of the server": "<a href='/api/contents'>a</a>",
    "a server without a scheme": "<a href='//e.e/'>a</a>",
    "a fragment": "<a href='#x'>a</a>",
    "a remote image": "<img src=https://e.e/who.png>",
    "srcset": "<img srcset='https://e.e/a 1x' src=x>",
    "picture": "<picture><source srcset=https://e.e/a><img></picture>",
    "lowsrc and dynsrc": "<img lowsrc=https://e.e dynsrc=https://e.e>",
    "a background attribute": "<table background=https://e.e><td background=https://e.e>a",
    "audio and video": "<video src=https://e.e poster=https://e.e><audio src=https://e.e>",
    "meta refresh": "<meta http-equiv=refresh content='0;url=https://e.e'>",
    "base": "<base href=https://e.e/>",
    "link": "<link rel=stylesheet href=https://e.e/a.css><link rel=prefetch href=https://e.e>",
    "svg with onload": "<svg onload=alert(1)>",
    "svg with script": "<svg><script>alert(1)</script></svg>",
    "svg with animate": "<svg><a><animate attributeName=href values=javascript:alert(1) /><text>a</text></a></svg>",
    "svg with foreignObject": "<svg><foreignObject><iframe srcdoc=x></iframe></foreignObject></svg>",
    "svg with use": "<svg><use xlink:href='data:image/svg+xml,x#a'></use></svg>",
    "xlink:href": "<math><a xlink:href=javascript:alert(1)>a</a></math>",
    "math": "<math><maction actiontype=statusline xlink:href=javascript:alert(1)>a</maction></math>",
    "mXSS in math": "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "mXSS in a form": "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "mXSS in svg": "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "mXSS in noscript": "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "mXSS in a title": "<svg><title><a id='</title><img src=x onerror=alert(1)>'>",
    "mXSS in a textarea": "<textarea><p title='</textarea><img src=x onerror=alert(1)>'>",
    "mXSS in xmp": "<xmp><p title='</xmp><img src=x onerror=alert(1)>'>",
    "mXSS in noembed": "<noembed><img title='</noembed><img src onerror=alert(1)>'></noembed>",
    "mXSS in a select": "<select><template><style><!--</style><a rel='--></style></template></select><img onerror=x src>'>",
    "style expression": "<p style='width:expression(alert(1))'>a</p>",
    "style url": "<p style='background:url(https://e.e)'>a</p>",
    "style url with escapes": "<p style='background:\\75\\72\\6c(https://e.e)'>a</p>",
    "style url in a comment": "<p style='background:u/**/rl(https://e.e)'>a</p>",
    "style image-set": "<p style='background:image-set(\"https://e.e\" 1x)'>a</p>",
    "style behavior": "<p style='behavior:url(x);-moz-binding:url(x)'>a</p>",
    "a style that covers the page": "<p style='position:fixed;top:0;left:0;width:100vw;height:100vh;z-index:9'>a</p>",
    "a style that moves away": "<p style='margin-top:-500px;transform:translate(-9em)'>a</p>",
    "a style sheet for the page": "<style>body{display:none} .jp-Cell{color:red}</style><b>a</b>",
    "a style sheet with @import": "<style>@import 'https://e.e/a.css';#a{color:red}</style><b>a</b>",
    "a style sheet with url": "<style>#a{background:url(https://e.e)}</style><b>a</b>",
    "a style sheet with @media": "<style>@media all{#a{position:fixed}}</style><b>a</b>",
    "a style sheet that reads the page": "<style>#a input[value^=a]{color:red}#a:has(b){color:red}</style><b>a</b>",
    "a style sheet that ends early": "<style>#a{color:red;</style><img src=x onerror=alert(1)>}</style><b>a</b>",
    "a style sheet that shows what is hidden": "<style>#a{display:block}</style><p id=a hidden>a</p>",
    "a form": "<form action=https://e.e><input name=p type=password><button formaction=javascript:x>a</button></form>",
    "isindex and keygen": "<isindex action=javascript:x type=image><keygen autofocus onfocus=x>",
    "iframe": "<iframe src=https://e.e></iframe>",
    "iframe srcdoc": "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "frameset": "<frameset><frame src=javascript:alert(1)></frameset>",
    "object": "<object data='data:text/html,x' type=text/html></object>",
    "embed": "<embed src=https://e.e><applet code=x></applet>",
    "portal and fencedframe": "<portal src=https://e.e></portal><fencedframe></fencedframe>",
    "template": "<template><script>alert(1)</script></template>",
    "a shadow root": "<div><template shadowrootmode=open><style>:host{position:fixed}</style></template></div>",
    "a custom element": "<jp-button appearance=x>a</jp-button><x-a is=b>b</x-a>",
    "a comment with markup": "<!--><img src=x onerror=alert(1)>-->",
    "a comment that ends oddly": "<!-- --!><img src=x onerror=alert(1)> -->",
    "a conditional comment": "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "CDATA": "<![CDATA[<script>alert(1)</script>]]>",
    "a processing instruction": "<?xml-stylesheet href='javascript:alert(1)'?><?php x ?>",
    "a doctype with an entity": "<!DOCTYPE x [<!ENTITY a '<script>'>]>&a;",
    "a command of JupyterLab": '<a data-commandlinker-command="terminal:create-new" href=#>a</a>',
    "a command on a button": "<button data-commandlinker-command='notebook:run-all-cells'>a</button>",
    "a class of JupyterLab": "<div class='jp-ThemedContainer jp-Dialog lm-Widget lm-mod-hidden'>a</div>",
    "a class of MathJax or icons": "<p class='MathJax fa fa-spin codicon'>a</p>",
    "a clobbering id": "<a id=jupyter-config-data>a</a><a id=document>b</a>",
    "a clobbering name": "<img name=body><form name=location>",
    "data-*": "<p data-jupyter-id=a data-mime-type=b data-x=c>a</p>",
    "aria and roles": "<p role=button aria-label=x tabindex=0 contenteditable accesskey=a draggable=true>a</p>",
    "slot, part, popover": "<p slot=a part=b popover=c popovertarget=d inert nonce=e>a</p>",
    "an image map": "<map name=m><area href=javascript:alert(1)></map><img usemap=#m>",
    "ping": "<a href=https://e.e ping=https://e.e/p download>a</a>",
    "microdata": "<p itemscope itemtype=https://e.e><meta itemprop=a content=b>",
    "a marquee": "<marquee onstart=alert(1)>a</marquee><bgsound src=https://e.e><layer src=x></layer>",
    "UTF-7": "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "NUL": "<scr\0ipt>alert(1)</scr\0ipt><img src=x one\0rror=alert(1)>",
    "an odd bracket": "\u00bcscript\u00bealert(1)\u00bc/script\u00be",
    "a half tag": "<img src=x onerror=alert(1) ",
    "attributes twice": "<a href=https://e.e href=javascript:alert(1)>a</a>",
    "plaintext": "<plaintext><script>alert(1)</script>",
    "tables that foster": "<table><script>alert(1)</script><tr><img src=x onerror=alert(1)>",
    "LaTeX with a link": "<p>$\\href{javascript:alert(1)}{a}$</p>",
    "LaTeX over tags": "<p>$\\hr<wbr>ef{javascript:alert(1)}{a}$</p>",
    "LaTeX with entities": "<p>&#36;&bsol;href{javascript:alert(1)}{a}&#36;</p>",
    "LaTeX with a class": "<p>\\(\\class{jp-Dialog}{a}\\)</p>",
}


@pytest.mark.parametrize("html", [pytest.param(html, id=name) for name, html in ATTACKS.items()])
def test_an_attack_does_nothing(html: str) -> None:
    """Of hostile HTML what is left is harmless by the rules of another reader, alone and amid other HTML; twice as well."""
    for around in ("{}", "<table><tr><td>{}</td></tr></table>", "<p title='{}'>a</p>", "<!-- {} -->", "<b>a</b>{}<b>b</b>"):
        shown = policy.Policy().bundle({"text/plain": "a", "text/html": around.format(html)}).get("text/html", "")
        Harmless(shown)
        Harmless(markup.clean_html(shown) or "")
        assert not re.search(r"\\(href|class)", shown)


@pytest.mark.parametrize(
    "mime",
    [
        *(
            "Text/HTML",
            "TEXT/HTML",
            "text/html; charset=utf-8",
            "text/html;charset=x",
            " text/html",
            "text/html ",
            "text/html\n",
        ),
        *(
            "text/xhtml",
            "application/xhtml+xml",
            "application/xml",
            "text/xml",
            "image/svg",
            "image/SVG+XML",
            "image/svg+xml;x",
        ),
        *("application/javascript", "text/javascript", "application/ecmascript", "application/x-javascript", "module"),
        *("application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json", "application/vnd.vegalite.v5+json"),
        *(
            "application/vnd.bokehjs_exec.v0+json",
            "application/vnd.jupyter.stderr",
            "application/vnd.mermaid",
            "text/vnd.mermaid",
        ),
        *("application/pdf", "application/geo+json", "application/vnd.dataresource+json", "application/wasm", "text/css"),
    ],
)
def test_no_other_type_passes(mime: str) -> None:
    """What is not on the list by its exact name is not there, in both ways that are not trusted."""
    for way in ("sanitized", "text"):
        assert policy.Policy(way).bundle({"text/plain": "a", mime: "<script>alert(1)</script>"}) == {"text/plain": "a"}


@pytest.mark.parametrize("content", [None, 7, ["<b>"], {"a": "<b>"}, True, "<b>\ud800</b>"])
def test_markup_is_text(content: Any) -> None:
    """Markup in another shape, or that no message can carry, is left out."""
    for mime in ("text/html", "text/markdown", "text/latex", "image/svg+xml"):
        assert policy.Policy().bundle({"text/plain": "a", mime: content}) == {"text/plain": "a"}


@pytest.mark.parametrize(
    "latex",
    [
        r"$\href{javascript:alert(1)}{a}$",
        r"$\HREF{a}{b}$",
        r"\url{javascript:alert(1)}",
        r"\class{jp-Dialog}{a}",
        r"\cssId{document}{a}",
        r"\style{position:fixed}{a}",
        r"\data{a=b}{c}",
        r"\htmlData{a=b}{c}",
        r"\htmlClass{a}{b}",
        r"\require{html}",
        r"\bbox[background:url(https://e.e)]{a}",
        r"\mmlToken{mi}[href=javascript:alert(1)]{a}",
        r"\unicode[x;position:fixed]{65}",
        r"\includegraphics{https://e.e/a.png}",
        r"\def\a{b}\a",
        r"\let\a=\b",
        r"\newcommand{\a}{b}",
        r"\csname href\endcsname{a}{b}",
        r"\color{red;position:fixed}{a}",
        r"\definecolor{a}{HTML}{fff}",
        r"<tex-html><script>alert(1)</script></tex-html>",
    ],
)
def test_latex_that_reaches_the_page_is_not_rendered(latex: str) -> None:
    """LaTeX with links, classes, styles, attributes, extensions and own definitions is left out."""
    assert policy.Policy().bundle({"text/plain": "a", "text/latex": latex}) == {"text/plain": "a"}


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "a <b onclick=alert(1)>b</b>",
        "[a](javascript:alert(1))",
        "[a](JAVASCRIPT:alert(1))",
        "[a](java&#x73;cript:alert(1))",
        "[a](<javascript:alert(1)>)",
        "[a] (javascript:x)",
        "[a](/api/contents)",
        "[a](https://e.e 'title\" onclick=alert(1)')",
        "[a[b](https://e.e)](javascript:alert(1))",
        "[![a](https://e.e)](javascript:x)",
        "![a](https://e.e/who.png)",
        "![a][b]\n\n[b]: https://e.e/who.png",
        "[a]\n\n[a]: javascript:alert(1)",
        "[a][b]",
        "<javascript:alert(1)>",
        "<https://e.e>",
        "```mermaid\ngraph LR\n```",
        "$\\href{javascript:alert(1)}{a}$",
        "&#36;&#92;href{javascript:alert(1)}{a}&#36;",
        "&dollar;&bsol;href{javascript:alert(1)}{a}&dollar;",
        "\\\\(\\class{jp-Dialog}{a}\\\\)",
    ],
)
def test_markdown_that_is_more_than_text_is_shown_as_text(markdown: str) -> None:
    """Markdown with HTML, images, other links or LaTeX that reaches the page is shown as it was written."""
    plain = {"text/plain": "<IPython.core.display.Markdown object>"}
    assert policy.Policy().bundle({**plain, "text/markdown": markdown}) == {"text/plain": markdown}
    assert policy.Policy().bundle({"text/plain": "a", "text/markdown": markdown}) == {"text/plain": "a"}


@pytest.mark.parametrize(
    ("mime", "content"),
    [
        ("text/latex", r"$\displaystyle \frac{x^{2}}{2} + \sin{\left(x \right)}$"),
        ("text/latex", r"$\begin{matrix}1 & 2\\3 & 4\end{matrix}$"),
        ("text/latex", r"$\textcolor{red}{x} \leq \color{blue} y \text{ data: } C:\classes$"),
        (
            "text/markdown",
            "# Title\n\n*a* **b** `c`\n\n- [docs](https://example.org/a?b=c&d=e#f), 1 > 0\n\n| a | b |\n|---|---|\n",
        ),
        ("text/markdown", "$x^2$ and a path C:\\data\\file"[:12]),
        ("text/markdown", "a path C:\\data\\file, R&D"),
        ("image/png", PNG),
    ],
)
def test_harmless_markup_passes_as_it_is(mime: str, content: str) -> None:
    """Formulas, and Markdown of text, tables and links to the web, are rendered by the front end."""
    assert policy.Policy().bundle({"text/plain": "a", mime: content}) == {"text/plain": "a", mime: content}


def shown(html: str) -> str:
    """Return the HTML that is shown."""
    return str(policy.Policy().bundle({"text/plain": "a", "text/html": html})["text/html"])


def test_a_dataframe_is_a_table() -> None:
    """What pandas shows of a DataFrame keeps its structure, and loses its style sheet for the whole page."""
    pandas = pytest.importorskip("pandas")
    html = shown(pandas.DataFrame({"price": [1.5, 2.0], "name": ["x", "<y>"]})._repr_html_())
    assert html.count("<tr") == 3
    assert '<table border="1" class="sandbox-dataframe">' in html
    assert '<tr style="text-align: right">' in html
    assert "<td>&lt;y&gt;</td>" in html
    assert "<style" not in html
    Harmless(html)


def test_the_colours_of_a_styler_stay() -> None:
    """What pandas' Styler says of cells by their ids is kept, in our names: colours, bars, highlights, captions."""
    pandas = pytest.importorskip("pandas")
    styler = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}).style.bar(subset=["a"]).highlight_max(color="yellow")
    styler = styler.set_caption("Costs").set_table_styles([{"selector": "th", "props": "color: red"}]).set_uuid("u")
    html = shown(styler.to_html())
    assert "#sandbox-T_u th { color: red }" in html
    assert "linear-gradient(90deg, #d65f5f 100.0%, transparent 100.0%)" in html
    assert "#sandbox-T_u_row1_col1 { background-color: yellow }" in html
    assert '<td id="sandbox-T_u_row1_col1" class="sandbox-data sandbox-row1 sandbox-col1">4.000000</td>' in html
    assert "<caption>Costs</caption>" in html
    Harmless(html)


def test_a_model_of_sklearn_can_be_read() -> None:
    """What shows itself with style sheets of its own falls back to the text it has for that, and hides what it hides."""
    html = shown(
        "<style>#sk-1 div.sk-text-repr-fallback {display: none;} #sk-1 {color: var(--x)}</style>"
        '<div id="sk-1" class="sk-top-container"><div class="sk-text-repr-fallback"><pre>LinearRegression()</pre></div>'
        '<div class="sk-container" hidden><input class="sk-hidden" type="checkbox">LinearRegression</div></div>'
    )
    assert "<pre>LinearRegression()</pre>" in html
    assert '<div class="sandbox-sk-container" hidden="">' in html
    Harmless(html)


def test_a_dataset_of_xarray_can_be_read() -> None:
    """A text that stands ahead of what needs a style sheet is shown."""
    html = shown(
        "<div><svg style='position: absolute'><defs><symbol id='icon'></symbol></defs></svg><style>:root{--a:b}</style>"
        "<pre class='xr-text-repr-fallback'>&lt;xarray.Dataset&gt;</pre>"
        "<div class='xr-wrap' style='display:none'>x</div></div>"
    )
    assert html == (
        '<div><pre class="sandbox-xr-text-repr-fallback">&lt;xarray.Dataset&gt;</pre>'
        '<div class="sandbox-xr-wrap" style="display: none">x</div></div>'
    )


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<b>bold</b> <i>text</i>", "<b>bold</b> <i>text</i>"),
        ("a &lt; b &amp;&amp; c", "a &lt; b &amp;&amp; c"),
        (f'<img src="data:image/png;base64,{PNG}" width="30">', f'<img src="data:image/png;base64,{PNG}" width="30">'),
        (
            "<a href='https://example.org/?a=b'>a</a>",
            '<a href="https://example.org/?a=b" target="_blank" rel="noopener noreferrer">a</a>',
        ),
        (
            '<span style="color: rgb(255, 0, 0) !important; font-weight:bold">a</span>',
            '<span style="color: rgb(255, 0, 0); font-weight: bold">a</span>',
        ),
        ("<details open><summary>a</summary>b</details>", '<details open=""><summary>a</summary>b</details>'),
        ('<td colspan="2" rowspan="3">', ""),
        ('<table><td colspan="2">a', '<table><tbody><tr><td colspan="2">a</td></tr></tbody></table>'),
        ("<p>$x^2$ costs 3 $</p>", "<p>$x^2$ costs 3 $</p>"),
        ("<p>C:\\data\\class</p>", "<p>C:\\data\\class</p>"),
        ("<!DOCTYPE html><!-- a --><html><head><title>t</title></head><body><p>a</p></body></html>", "<p>a</p>"),
    ],
)
def test_html_that_shows_something_stays(html: str, expected: str) -> None:
    """Text, tables, lists, links to the web, harmless styles and images within the output are kept."""
    assert markup.clean_html(html) == expected


def test_an_svg_is_an_image() -> None:
    """An SVG is shown as an image, where its scripts do not run, and not at all beside a picture in pixels."""
    svg = "<svg onload='alert(1)'><script>alert(2)</script></svg>"
    image = policy.Policy().bundle({"text/plain": "a", "image/svg+xml": svg})
    assert set(image) == {"text/plain", "text/html"}
    assert re.fullmatch(r'<img src="data:image/svg\+xml;base64,[\w+/=]+">', image["text/html"])
    both = {"text/plain": "a", "image/png": PNG}
    assert policy.Policy().bundle({**both, "image/svg+xml": svg}) == both


# -- the settings


def test_as_text_there_is_no_markup() -> None:
    """With `text` plain text, JSON and pixels are shown, and Markdown as it was written."""
    data = {"text/html": "<b>a</b>", "text/latex": "$a$", "image/svg+xml": "<svg/>", "image/png": PNG}
    assert policy.Policy("text").bundle({"text/plain": "a", **data}) == {"text/plain": "a", "image/png": PNG}
    plain = "<IPython.core.display.Markdown object>"
    assert policy.Policy("text").bundle({"text/plain": plain, "text/markdown": "# a"}) == {"text/plain": "# a"}


def test_trusted_is_as_it_is() -> None:
    """With `trusted` every type and all metadata pass; text is still without what a terminal obeys."""
    rules = policy.Policy("trusted")
    data = {"text/html": "<script>a</script>", "application/javascript": "a", "application/x+json": {"a": [1]}}
    assert rules.bundle({"text/plain": "a\x1b[2J", **data, "no type": "a", "a/b": "\ud800"}) == {"text/plain": "a", **data}
    assert rules.metadata({"isolated": True, "text/html": {"a": 1}}) == {"isolated": True, "text/html": {"a": 1}}


def test_more_types_can_be_let_through() -> None:
    """A type of the user's choice, or that the kernel vouches for, passes as it is; others still do not."""
    data = {"text/plain": "a", "application/x+json": {"a": 1}, "application/y+json": {"b": 2}, "application/z+json": {}}
    expected = {"text/plain": "a", "application/x+json": {"a": 1}, "application/y+json": {"b": 2}}
    for way in ("sanitized", "text"):
        rules = policy.Policy(way, frozenset({"application/x+json"}))
        assert rules.bundle(data, also=["application/y+json"]) == expected
    assert policy.Policy().bundle({"application/x+json": "\ud800"}, also=["application/x+json"]) == {
        "text/plain": "[Not shown: application/x+json. OutputPolicy.html and OutputPolicy.extra_mime_types set what is; the"
        " README has the risks.]"
    }


def _bundle(shown: object) -> dict[str, Any]:
    """Return what IPython makes of an object."""
    data: dict[str, Any] = DisplayFormatter().format(shown)[0]
    return data


#: By what they are: what IPython shows, and what is to be read of it.
NOTHING_LEFT = {
    "a remote picture": (display.Image(url="https://e.e/a.png"), "What lies in the network is not loaded"),
    "a remote picture with a text": (display.Image(url="//e.e/a.png", alt="a cat"), "What lies in the network is not loaded"),
    "remote pictures in HTML": (display.HTML("<p><img src='http://e.e/a'> &nbsp;<img src=HTTPS://e.e/b></p>"), "network"),
    "a frame": (display.IFrame("https://e.e", 100, 100), "network"),
    "a video": (display.YouTubeVideo("abc"), "network"),
    "a film": (display.Video("https://e.e/a.mp4"), "network"),
    "a sound": (display.Audio(data=b"RIFF" * 100, rate=8000), "Not shown: text/html."),
    "a script": (display.Javascript("alert(1)"), "Not shown: application/javascript."),
    "a script in HTML": (display.HTML("<script>alert(1)</script>"), "Not shown: text/html."),
    "an empty form": (display.HTML("<form><input></form>"), "Not shown: text/html."),
    "a picture that is none": (display.SVG("<svg xmlns='http://www.w3.org/2000/svg'></svg>"), None),
}


@pytest.mark.parametrize("name", NOTHING_LEFT)
def test_what_leaves_nothing_to_see_says_so(name: str) -> None:
    """Where no form of an output can be shown, its text says why, once, and which setting decides."""
    shown, expected = NOTHING_LEFT[name]
    bundle = _bundle(shown)
    kept = policy.Policy().bundle(bundle)
    if expected is None:
        assert set(kept) == {"text/plain", "text/html"}
        return
    assert set(kept) == {"text/plain"} and expected in kept["text/plain"]
    assert kept["text/plain"].count("OutputPolicy.html") == 1 and kept["text/plain"].startswith(bundle["text/plain"])
    assert policy.Policy("text").bundle(bundle)["text/plain"].count("OutputPolicy.html") == 1
    assert policy.Policy("trusted").bundle(bundle) == bundle


@pytest.mark.parametrize(
    "html",
    [
        "a",
        "<hr>",
        "<table><tr><td></td></tr></table>",
        '<div style="background-color: red; width: 20px; height: 20px"></div>',
        f'<img src="data:image/png;base64,{PNG}">',
        "<p>&lt;</p>",
        '<img src="https://e.e/a" alt=">"><b>a</b>',
    ],
)
def test_what_can_be_seen_is_shown(html: str) -> None:
    """Text, rules, tables, boxes with a colour and own pictures are something to see."""
    assert "text/html" in policy.Policy().bundle({"text/plain": "", "text/html": html})


NETWORK = (
    "[What lies in the network is not loaded: it would tell somebody that and when you look. OutputPolicy.html=trusted"
    " loads it, and lets the cell act as you in Jupyter.]"
)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (
            "<h1>Cats</h1><img src=https://e.e/a.png alt='a &lt;cat&gt; &amp; \"dog\"'>",
            '[picture: a <cat> & "dog"]' + NETWORK,
        ),
        ("<table><tr><td>1</td><td><img src='//e.e/a.png' width=5></td></tr></table>", "1[picture]" + NETWORK),
        ("<b>a</b>" + "<img src=http://e.e>" * 500, "a" + "[picture]" * markup.MOST_TRACES + NETWORK),
        (f"<b>a</b><img alt='{'b' * 500}' src=https://e.e>", f"a[picture: {'b' * 97}...]" + NETWORK),
        (
            "<b>a</b><img src=local.png>",
            "a[picture][Pictures are shown when they lie within the output, as PNG, JPEG, GIF or WebP.",
        ),
        (f"<b>a</b><img src='data:image/png;base64,{PNG}' alt=b>", "a"),
    ],
    ids=["words", "in a table", "many", "long", "of the server", "its own"],
)
def test_a_picture_that_is_not_loaded_leaves_its_words(html: str, expected: str) -> None:
    """Where HTML loses a picture its words are to be read, and once why, and which setting loads it; nothing is asked for."""
    found = shown(html)
    Harmless(found)
    assert "e.e" not in found
    reader = _Text()
    reader.feed(found)
    assert reader.text.replace("\n", "").removeprefix("Cats").startswith(expected)
    assert found.count("OutputPolicy.html=trusted") == ("[picture" in found)
    assert shown(found) == found


class _Text(HTMLParser):
    """Collects what is to be read."""

    text = ""

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("alt", ["$\\href{javascript:alert(1)}{a}$", "\\href{javascript:alert(1)}{a}", "href{a}{b}$"])
def test_words_of_a_picture_are_no_formula(alt: str) -> None:
    """What the words of a lost picture add to the text is looked at as the text is."""
    kept = policy.Policy().bundle({"text/plain": "a", "text/html": f"<b>$x$ $\\</b><img src=https://e.e alt='{alt}'>b$"})
    assert "text/html" not in kept or "\\href" not in kept["text/html"]


@pytest.mark.parametrize("data", [{}, {"text/plain": ""}, {"text/plain": "<IPython.core.display.HTML object>"}])
def test_what_was_empty_stays_so(data: dict[str, Any]) -> None:
    """Of an output that had nothing to leave out nothing is said."""
    assert policy.Policy().bundle(data) == data


def test_the_name_of_a_display_is_bounded() -> None:
    """A long id becomes a short one, the same each time and another for another."""
    long, other = "a" * 1000, "a" * 999
    assert policy.display_id("id-1\x1b[2J") == "id-1"
    assert policy.display_id(long) == policy.display_id(long) != policy.display_id(other)
    assert len(policy.display_id(long)) == 64


# -- cost

SIZE = markup.MARKUP_BYTES


def test_too_much_html_is_text_with_a_note() -> None:
    """HTML over the bound is not looked at: the plain text is shown, and that the rest is not."""
    html = "<b>a</b>" * (5 * 2**20 // 8)
    assert policy.Policy().bundle({"text/plain": "a", "text/html": html}) == {
        "text/plain": "a\n[5.0 MiB of HTML are not shown.]"
    }
    assert policy.Policy().bundle({"text/plain": "a", "text/html": html, "image/png": PNG}) == {
        "text/plain": "a",
        "image/png": PNG,
    }


def test_a_large_table_is_shown() -> None:
    """A table just below the bound is shown."""
    row = "<tr><th>1</th>" + '<td style="color: red">0.123456</td>' * 10 + "</tr>"
    assert "0.123456" in (markup.clean_html(f"<table>{row * (SIZE // len(row) - 1)}</table>") or "")


@pytest.mark.parametrize(
    "html",
    [
        pytest.param("<div>" * (SIZE // 5), id="deep"),
        pytest.param("<p>" + "".join(f"<b id=i{i}>" for i in range(900)) + "</p>" + "<p>x</p>" * 100_000, id="repeated"),
        pytest.param("<td " + " ".join(f"a{i}=1" for i in range(100_000)) + ">", id="attributes"),
        pytest.param("<td/" + "/".join(f"a{i}" for i in range(100_000)) + ">", id="attributes with slashes"),
        pytest.param("<a b='" * (SIZE // 6), id="quotes"),
        pytest.param("&amp;" * (SIZE // 5), id="references"),
        pytest.param("<!--" * (SIZE // 4), id="comments"),
        pytest.param("<div><table></div></table>" * (SIZE // 26), id="nested wrongly"),
        pytest.param("<div a='</div>'>" * (SIZE // 16), id="ends in quotes"),
        pytest.param("<div><!--></div><!-->-->" * (SIZE // 24), id="ends in comments"),
    ],
)
def test_html_that_would_take_long_is_refused(html: str) -> None:
    """What would take a parser the square of its size is not given to it."""
    assert len(html) <= SIZE
    assert markup.clean_html(html) is None


@pytest.mark.parametrize(
    "html",
    [
        *("<style>" + "a{" * (SIZE // 2 - 9), "<style>" + "/*" * (SIZE // 2 - 9), "<style>" + "#a " * (SIZE // 3 - 9) + "{}"),
        *("<" * SIZE, "<p " + " " * (SIZE - 9), "</x>" * (SIZE // 4), "<p style='color:" + "rgb(" * (SIZE // 4 - 9) + "'>"),
        *("\\color[" * (SIZE // 7), "\\" + "color" * (SIZE // 5 - 1), "[" * SIZE, "]" + " " * (SIZE - 9), "&aaaa" * 9999),
        "[a](http://" * (SIZE // 11),
    ],
)
def test_patterns_take_linear_time(html: str) -> None:
    """What looks like the beginning of something, all over, is looked at once; the timeout of tests tells."""
    markup.clean_html(html)
    markup.is_safe_latex(html)
    markup.is_safe_markdown(html)
