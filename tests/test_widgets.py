"""What of a widget's words reaches a front end: all that ipywidgets says, and none of what would run or load something."""

from __future__ import annotations

import base64
import json
import re
import warnings
from typing import Any

import pytest

from sandbox_kernel import widgets
from sandbox_kernel.markup import clean_html
from sandbox_kernel.widgets import RefusedError, clean_buffers, clean_state, is_version, is_view, model_of

ID = "0123456789abcdef0123456789abcdef"
#: Widgets that links may name.
KNOWN = {"text": "TextModel", "slider": "IntSliderModel", "html": "HTMLModel", "layout": "LayoutModel", "link": "LinkModel"}


def all_of_ipywidgets() -> dict[str, Any]:
    """Return the state of one of each widget that ipywidgets has, by its class."""
    import ipywidgets
    from ipywidgets.widgets.widget import _registry, _remove_buffers

    arguments: dict[str, Any] = {
        "Link": {"source": (ipywidgets.Text(), "value"), "target": (ipywidgets.Text(), "value")},
        "DirectionalLink": {"source": (ipywidgets.Text(), "value"), "target": (ipywidgets.Text(), "value")},
        "SelectionRangeSlider": {"options": ["a", "b"]},
        "SelectionSlider": {"options": ["a", "b"]},
        "Dropdown": {"options": ["a", "b"]},
    }
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _, kind in list(_registry.items()):  # not a dict
            if not kind.__name__.startswith("_"):
                made = kind(**arguments.get(kind.__name__, {}))
                found[kind.__name__] = json.loads(json.dumps(_remove_buffers(made.get_state())[0]))
        known = {widget.model_id: widget._model_name for widget in ipywidgets.Widget.widgets.values()}
    return {"states": found, "known": known}


def test_what_ipywidgets_says_passes() -> None:
    """Every widget of ipywidgets passes as it is, with all its properties."""
    made = all_of_ipywidgets()
    assert len(made["states"]) > 60
    for state in made["states"].values():
        model = model_of(state)
        kept, refused = clean_state(model, state, made["known"], "")
        assert (kept, refused) == (state, [])


@pytest.mark.parametrize(
    "state",
    [
        {"_model_name": "IntSliderModel", "_model_module": "evil"},
        {"_model_name": "IntSliderModel", "_model_module": "@jupyter-widgets/base"},
        {"_model_name": "IntSliderModel"},
        {"_model_name": "AnyModel", "_model_module": "anywidget"},
        {"_model_name": "DOMWidgetModel", "_model_module": "@jupyter-widgets/base"},
        {"_model_name": ["HTMLModel"], "_model_module": "@jupyter-widgets/controls"},
        {"_model_name": {}, "_model_module": "@jupyter-widgets/controls"},
        {},
    ],
)
def test_a_model_that_nobody_knows_is_none(state: dict[str, Any]) -> None:
    """A model of another module, or one that is not listed, is refused: the page would load its code."""
    with pytest.raises(RefusedError):
        model_of(state)


#: Model, property, and values of it that may not pass.
REFUSED: list[tuple[str, str, list[Any]]] = [
    ("IntSliderModel", "_model_module", ["evil", "@jupyter-widgets/base", None, ["@jupyter-widgets/controls"]]),
    ("IntSliderModel", "_model_name", ["HTMLModel", None]),
    ("IntSliderModel", "_view_module", ["evil", "@jupyter-widgets/output", "@jupyter-widgets/base"]),
    ("TextModel", "_view_name", ["HTMLView", "TextareaView", "ErrorWidgetView", 3]),
    ("LinkModel", "_view_name", ["HTMLView", "LinkView"]),
    ("TextModel", "_model_module_version", ["latest", "https://x", "1 || 2", "../1.0.0"]),
    ("TextModel", "_anything", ["x"]),
    ("TextModel", "_view_anything", ["x"]),
    ("TextModel", "__proto__", [{"a": 1}]),
    ("TextModel", "constructor", [{"a": 1}]),
    ("TextModel", "comm", ["x"]),
    ("TextModel", "value", [{"__proto__": 1}, {"constructor": 1}, [[1]], [{"a": 1}], "x" * (widgets.MOST_TEXT + 1)]),
    ("TextModel", "value", [[0] * (widgets.MOST_ITEMS + 1), {"a": {}}]),
    ("HTMLModel", "value", [1, ["<b>"], {"year": "<b>"}, None, "x" * (widgets.MOST_TEXT + 1)]),
    ("LabelModel", "description_allow_html", [True, "yes", 1]),
    ("ButtonModel", "icon", ["check jp-Dialog", "x\ty", 'a"b', "a" * 61]),
    ("ToggleButtonsModel", "icons", [["check jp-Dialog"], [["a"]]]),
    ("ButtonModel", "button_style", ["jp-Dialog x", "a b", "x" * 31, 1]),
    ("BoxModel", "_dom_classes", [["jp-Dialog"], ["lm-Menu"], ["widget-x jp-Dialog"], "widget-x", [1]]),
    ("BoxModel", "layout", ["IPY_MODEL_", "x", ID, "IPY_MODEL_<b>", {"a": 1}, 3]),
    ("BoxModel", "children", [["x"], [["IPY_MODEL_" + ID]], [{"a": 1}]]),
    ("LayoutModel", "position", ["fixed", "absolute"]),
    ("LayoutModel", "z_index", ["1000"]),
    ("LayoutModel", "background_image", ["url(http://x)"]),
    ("LayoutModel", "width", ["1px; position: fixed", "1px}", "a:b", "\\75rl(x)", "u/**/rl(x)", "x" * 301, ["1px"]]),
    (
        "LabelStyleModel",
        "background",
        ["url(http://x)", "URL (x)", "image(x)", "image-set('x' 1x)", "element(#x)", "src('x')"],
    ),
    ("ProgressStyleModel", "bar_color", ["url(//x)", "expression(1)", "red\n", "attr(x)", "linear-gradient(red, blue)"]),
    ("ImageModel", "format", ["url", "svg+xml", "svg", "png; x", "html", 1]),
    ("VideoModel", "format", ["url", "html", "png"]),
    ("AudioModel", "format", ["url", "html"]),
    ("ImageModel", "value", ["http://x", "PHN2Zz4="]),
    ("OutputModel", "msg_id", ["another", None, 1]),
    ("OutputModel", "outputs", [[{"output_type": "x"}], ["x"], {}, [{"output_type": "display_data", "data": "x"}]]),
    ("FileUploadModel", "value", [[{"__proto__": 1}], [{"content": {"a": 1}}], "x"]),
    ("LinkModel", "source", [["IPY_MODEL_html", "value"], ["IPY_MODEL_layout", "width"], ["IPY_MODEL_link", "source"]]),
    ("LinkModel", "target", [["IPY_MODEL_text", "_view_name"], ["IPY_MODEL_text", "description_allow_html"], ["x", "value"]]),
    (
        "DirectionalLinkModel",
        "target",
        [["IPY_MODEL_nobody", "value"], ["IPY_MODEL_html", "value"], "IPY_MODEL_text", [1, 2]],
    ),
    ("LinkModel", "value", ["x"]),
]
CASES = [(model, name, value) for model, name, values in REFUSED for value in values]


@pytest.mark.parametrize(("model", "name", "value"), CASES)
def test_what_may_not_pass_is_left_out_and_named(model: str, name: str, value: Any) -> None:
    """What would load code, draw markup, cover the page or take another's output is left out; its neighbours stay."""
    good = {"_view_module_version": "^2.0"}
    kept, refused = clean_state(model, {name: value, **good}, KNOWN, "parent")
    assert (kept, refused) == (good, [f"{model}.{name}"])


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        ("LayoutModel", "width", "calc(100% - 2px)"),
        ("LayoutModel", "grid_template_columns", "repeat(3, minmax(10px, 1fr))"),
        ("LayoutModel", "grid_template_areas", '"header header" "main sidebar"'),
        ("LayoutModel", "grid_area", "1 / 2 / 3 / 4"),
        ("LayoutModel", "border_top", "1px solid var(--jp-ui-font-color1)"),
        ("LabelStyleModel", "background", "rgba(1, 2, 3, 0.5)"),
        ("ButtonStyleModel", "button_color", "#a0b0c0"),
        ("ButtonModel", "icon", "arrow-right"),
        ("BoxModel", "_dom_classes", ["widget-interact"]),
        ("BoxModel", "children", ["IPY_MODEL_" + ID]),
        ("DatePickerModel", "value", {"year": 2026, "month": 10, "date": 1}),
        ("TextModel", "value", "<script>"),  # text, which is drawn as text
        ("OutputModel", "msg_id", "parent"),
        ("LinkModel", "source", ["IPY_MODEL_text", "value"]),
        ("LinkModel", "target", ["IPY_MODEL_slider", "max"]),
        ("ImageModel", "format", "jpeg"),
    ],
)
def test_what_people_use_passes(model: str, name: str, value: Any) -> None:
    """Styles, icons, dates, links between values pass as they are."""
    assert clean_state(model, {name: value}, KNOWN, "parent") == ({name: value}, [])


@pytest.mark.parametrize(
    "markup",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg onload=alert(1)>",
        "<math><mtext><img src=x onerror=alert(1)></mtext></math>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
        "<b onclick=alert(1) style='background: url(//x)'>x</b>",
        "<style>@import '//x'</style>",
        "<form action=//x><input name=a><button>x</button></form>",
        "<object data=//x></object><embed src=//x><link rel=stylesheet href=//x><base href=//x><meta http-equiv=refresh>",
        "<div class=jp-Dialog id=x data-commandlinker-command='x'>x</div>",
        "<b style='position: fixed; top: 0'>x</b>",
        "<template><script>alert(1)</script></template><noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    ],
)
@pytest.mark.parametrize("model", ["HTMLModel", "HTMLMathModel"])
def test_markup_is_cleaned(model: str, markup: str) -> None:
    """No markup of a widget runs, loads, or looks like a part of the page."""
    kept, refused = clean_state(model, {"value": markup}, {}, "")
    told = kept["value"].lower()
    bad = ("<script", "<svg", "<iframe", "<form", "<input", "<style", "<object", "<embed", "<link", "<base", "<meta")
    assert not refused and not [word for word in (*bad, "javascript:", "data:", "url(", "position") if word in told]
    # An attribute that is quoted in the text of another is none.
    outside = "".join(told.split('"')[::2])
    assert not [word for word in (" on", "data-", "src=", "srcdoc") if word in outside]
    # Names of the page's own are not to be had: each gets a prefix of ours.
    assert all(name.startswith("sandbox-") for name in re.findall(r'(?:class|id)="?([^" >]+)', told))


def test_markup_that_is_only_nice_stays() -> None:
    """Bold text, a table, a link and a colour stay; so does what tqdm writes."""
    nice = '<b>x</b> <span style="color: red">y</span><table><tbody><tr><td colspan="2">1</td></tr></tbody></table>'
    assert clean_html(nice) == nice
    assert 'href="https://x.org/"' in clean_html('<a href="https://x.org/">x</a>')
    assert clean_html(" 3/3 [00:00&lt;00:00, 9it/s]") == " 3/3 [00:00&lt;00:00, 9it/s]"


def test_outputs_of_an_output_widget_are_those_of_a_cell() -> None:
    """What an Output widget holds passes the same policy as what a cell shows."""
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "a\x1b]0;t\x07"},
        {"output_type": "display_data", "data": {"text/plain": "x", "application/javascript": "1"}, "metadata": {"a": 1}},
        {"output_type": "execute_result", "data": {"text/plain": "x"}, "execution_count": "<b>"},
        {"output_type": "error", "ename": "E", "evalue": 3, "traceback": ["\x1b[31ml\x1b[2J", 4], "more": 1},
    ]
    assert clean_state("OutputModel", {"outputs": outputs}, {}, "")[0]["outputs"] == [
        {"output_type": "stream", "name": "stdout", "text": "a"},
        {"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}},
        {"output_type": "execute_result", "data": {"text/plain": "x"}, "metadata": {}, "execution_count": None},
        {"output_type": "error", "ename": "E", "evalue": "3", "traceback": ["\x1b[31ml"]},
    ]


def test_binary_parts_go_where_pictures_and_files_have_them() -> None:
    """A binary part is put where its model has one; a path elsewhere, into a prototype say, is left out."""
    data = base64.b64encode(b"x").decode()
    assert clean_buffers("ImageModel", [["value"]], [data]) == ([["value"]], [b"x"])
    assert clean_buffers("FileUploadModel", [["value", 0, "content"]], [data]) == ([["value", 0, "content"]], [b"x"])
    for path in (
        ["__proto__", "x"],
        ["value", "__proto__"],
        [],
        "value",
        None,
        ["value", -1, "content"],
        ["value", "0", "content"],
    ):
        for model in ("ImageModel", "FileUploadModel", "TextModel"):
            assert clean_buffers(model, [path], [data]) == ([], [])
    for paths in (None, "x", {}, [["value"]]):
        assert clean_buffers("TextModel", paths, [data]) == ([], [])
    assert clean_buffers("ImageModel", [["value"]], ["?"]) == ([], [])
    assert clean_buffers("ImageModel", [["value"]], []) == ([], [])


@pytest.mark.parametrize(
    ("view", "good"),
    [
        ({"model_id": ID, "version_major": 2, "version_minor": 0}, True),
        ({"model_id": "<b>", "version_major": 2, "version_minor": 0}, False),
        ({"model_id": ID, "version_major": True, "version_minor": 0}, False),
        ({"model_id": ID, "version_major": "2", "version_minor": 0}, False),
        ({"model_id": ID, "version_major": 2, "version_minor": 0, "x": 1}, False),
        ({"model_id": ID}, False),
        ({"model_id": [ID], "version_major": 2, "version_minor": 0}, False),
        ([], False),
        (None, False),
        ("x", False),
    ],
)
def test_a_view_names_a_widget_and_nothing_else(view: Any, good: bool) -> None:
    """What shows a widget is an identifier and two numbers."""
    assert is_view(view) is good


def test_versions_of_the_protocol() -> None:
    """Version 2 is spoken, and is digits."""
    assert [is_version(word) for word in ("2.1.0", "2.0", "1.0.0", "2.1.0\n", "2.x", None, 2)] == [True, True, *[False] * 5]
