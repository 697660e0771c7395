"""Output that means harm: each way that we know by which what a cell shows could act as the user in JupyterLab.

Every attack names itself in what it asks the server for, ``/api/contents/MARK-name``, so it can be told which one worked.
In the tables ``{url}`` is that address and ``{js}`` a program that asks for it and opens a dialog.
"""

from __future__ import annotations

import re

from lab import Cell, Lab, Notebook

MARK = "swarm"

#: Attacks by ``text/html``.
MARKUP = {
    "script": "<script>{js}</script>",
    "onerror": '<img src="data:," onerror="{js}">',
    "svg": '<svg onload="{js}"></svg>',
    "image": '<img src="{url}">',
    "srcset": '<img srcset="{url} 1x">',
    "css": '<div style="background: url({url}); height: 9px">styled</div>',
    "style": "<style>@import url({url}); td {{ background: url({url}) }}</style><table><tr><td>styled</td></tr></table>",
    "stylesheet": '<link rel="stylesheet" href="{url}">',
    "base": '<base href="{url}/"><meta http-equiv="refresh" content="0; {url}">',
    "iframe": '<iframe src="{url}"></iframe>',
    "srcdoc": '<iframe srcdoc="<script>{js}</script>"></iframe>',
    "object": '<object data="{url}"></object><embed src="{url}">',
    "video": '<video poster="{url}" src="{url}"></video>',
    "focus": '<input autofocus onfocus="{js}">',
    "details": '<details open ontoggle="{js}">open</details>',
    "click": '<b onclick="{js}">click</b>',
    "link": '<a href="javascript:{js}">click</a>',
    "tabbed": '<a href="java\tscript:{js}">click</a>',
    "entity": '<a href="&#106;avascript:{js}">click</a>',
    "form": '<form action="javascript:{js}"><button>click</button></form>',
    "cell": '<table background="{url}"><tr><td background="{url}" onmouseover="{js}">1</td></tr></table>',
    "mutation": '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=data:, onerror={js}&gt;">',
    "broken": '<img src="data:,"`onerror="{js}"><img/src="data:,"/onerror="{js}"//><<script>{js}//<</script>',
    "comment": "<!--><img src=data:, onerror={js}>-->",
    "foreign": '<svg><style><img src="data:," onerror="{js}"></style></svg>',
    "noscript": '<noscript><p title="</noscript><img src=data:, onerror={js}>">',
    "command": (
        '<button data-commandlinker-command="apputils:notify"'
        ' data-commandlinker-args=\'{{"message": "{mark}"}}\'>click</button>'
    ),
}
#: Attacks by other types, or by several at once.
BUNDLES = {
    "javascript": {"application/javascript": "{js}"},
    "markdown": {
        "text/markdown": '<img src="{url}">\n\n![x]({url})\n\n<script>{js}</script>\n\n<img src="data:," onerror="{js}">'
    },
    "drawing": {"image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg"><script>{js}</script><image href="{url}"/></svg>'},
    "latex": {"text/latex": "$\\href{{javascript:{js}}}{{x}} \\unicode{{<img src=data:, onerror={js}>}}$"},
    "plain": {"text/plain": '<script>{js}</script><img src="{url}">\x1b]8;;javascript:{js}\x07click\x1b]8;;\x07'},
    "picture": {"text/plain": "x", "image/png": 'iVBORw0KGgo=" onerror="{js}'},
    "type": {"text/plain": "x", 'text/html"><img src=data:, onerror={js}>': "x"},
    "spelled": {"text/plain": "x", "Text/HTML": "<script>{js}</script>", "text/html; charset=utf-8": "<script>{js}</script>"},
    "mathml": {"text/plain": "x", "application/mathml+xml": '<math href="javascript:{js}"><mi>x</mi></math>'},
}
#: Attacks by widgets, whose text the front end may take for markup.
WIDGETS = {
    "widget": ("HTML", {"value": '<img src="data:," onerror="{js}">'}),
    "math": ("HTMLMath", {"value": '<img src="data:," onerror="{js}">'}),
    "described": ("Text", {"description": '<img src="data:," onerror="{js}">', "description_allow_html": True}),
    "label": ("Label", {"value": '<img src="data:," onerror="{js}">'}),
    "titled": ("Button", {"description": '<img src="data:," onerror="{js}">', "icon": '" onmouseover="{js}'}),
    "chosen": ("Dropdown", {"options": ['<img src="data:," onerror="{js}">']}),
}

#: Those that a front end which trusts the kernel lets through.
WORKS_WITH_IPYKERNEL = frozenset({"script", "onerror", "image", "iframe", "click", "javascript", "widget"})

# The mark stands in no source, so that neither the notebook nor the server's log has it from there.
_TOOLS = f"""
class Hostile:
    def __init__(self, data, metadata):
        self.made = data, metadata
    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.made

def fill(template, name):
    mark = {MARK[:2]!r} + {MARK[2:]!r} + '-' + name
    url = '/api/contents/' + mark
    js = "fetch('" + url + "');alert('" + mark + "')"
    return template.format(mark=mark, url=url, js=js)

def filled(value, name):
    return fill(value, name) if isinstance(value, str) else [fill(each, name) for each in value] if value != True else value
"""


def reach(lab: Lab, notebook: Notebook, only: frozenset[str] | None = None) -> dict[str, str]:
    """Show each attack, click on everything in it, and return those that reached the server or the user, and how."""
    markup, bundles, widgets = (
        {name: attack for name, attack in table.items() if only is None or name in only}
        for table in (MARKUP, BUNDLES, WIDGETS)
    )
    first = len(lab.requests)
    lab.dialogs.clear()
    notebook.run(_TOOLS)
    cells = [
        notebook.run(
            f"for name, template in {markup!r}.items():\n"
            "    display(Hostile({'text/plain': name, 'text/html': fill(template, name)}, {}))\n"
            "    display(Hostile({'text/html': fill(template, name)}, {'isolated': True, 'text/html': {'isolated': True}}))"
        ),
        notebook.run(
            f"for name, data in {bundles!r}.items():\n"
            "    display(Hostile({fill(kind, name): fill(text, name) for kind, text in data.items()}, {}))"
        ),
        notebook.run(
            f"import ipywidgets\nfor name, (kind, traits) in {widgets!r}.items():\n"
            "    display(getattr(ipywidgets, kind)(**{key: filled(value, name) for key, value in traits.items()}))"
        ),
        notebook.run("print(fill('\\x1b[31m<script>{js}</script><img src=\"data:,\" onerror=\"{js}\">', 'print'))"),
        # No path in it: JupyterLab itself makes a link of each path in a traceback, and asks the server where it leads.
        notebook.run(
            "raise ValueError(fill('<script>alert(`{mark}`)</script><img src=\"data:,\" onerror=alert(`{mark}`)>', 'error'))"
        ),
    ]
    for cell in cells:
        _use(cell)
    notebook.run("1")
    _wait_for_what_was_asked(notebook)
    words = [*lab.requests[first:], *lab.dialogs, *notebook.page.locator(".Toastify").all_inner_texts()]
    return {name: word for word in words for name in re.findall(rf"{MARK}-(\w+)", word)}


def _use(cell: Cell) -> None:
    """Click on, point at and focus everything that a cell shows."""
    cell.output.evaluate(
        """output => {
            for (const part of output.querySelectorAll("*")) {
                part.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
                part.focus?.();
            }
            for (const part of output.querySelectorAll("a, b, button, input, label, summary, td")) {
                part.click();
            }
        }"""
    )


def _wait_for_what_was_asked(notebook: Notebook) -> None:
    """Return when an image that is asked for now, and fails, has said so, and after it the server: later than all before."""
    notebook.page.evaluate(
        """async () => {
            for (const url of ["data:,", "/api/contents/witness"]) {
                await new Promise(done => { const image = new Image(); image.onerror = done; image.src = url; });
            }
            await fetch("/api/status");
        }"""
    )
