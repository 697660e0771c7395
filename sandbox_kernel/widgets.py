"""Pure: what of a widget's words may reach a front end.

A widget's half in the page is trusted code of the front end, which makes itself from a state that the guest sends: a
module to load, a class of it, and its properties, some of them markup. So what passes is what this module knows: the models
that ship with JupyterLab's widget manager, each with its own view, and of their properties those that are plain values,
references to other widgets, words of a style. Markup is cleaned. Anything else is left out, and named.

Some properties are dangerous only together: a view that draws its model's text as markup; a link that copies one
property to another inside the page; an identifier that is used again for another kind of widget. That is why each identifier
stands for one model for good, and each model has one view.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from . import markup, policy

TARGET = "jupyter.widget"
VIEW = "application/vnd.jupyter.widget-view+json"
#: Identifiers of widgets in one session, closed ones too: a progress bar has eleven.
MOST_MODELS = 100_000
MOST_ITEMS = 20_000
MOST_TEXT = 1_000_000

_CONTROLS = """Accordion Audio BoundedFloatText BoundedIntText Box Button ButtonStyle Checkbox CheckboxStyle ColorPicker
    ColorsInput Combobox Controller ControllerAxis ControllerButton DatePicker Datetime DescriptionStyle DirectionalLink
    Dropdown FileUpload FloatLogSlider FloatProgress FloatRangeSlider FloatSlider FloatText FloatsInput GridBox HBox HTML
    HTMLMath HTMLMathStyle HTMLStyle Image IntProgress IntRangeSlider IntSlider IntText IntsInput Label LabelStyle Link
    NaiveDatetime Password Play ProgressStyle RadioButtons Select SelectMultiple SelectionRangeSlider SelectionSlider
    SliderStyle Stack Tab TagsInput Text TextStyle Textarea Time ToggleButton ToggleButtonStyle ToggleButtons
    ToggleButtonsStyle VBox Valid Video"""
_MODULES = {
    **{f"{name}Model": "@jupyter-widgets/controls" for name in _CONTROLS.split()},
    "LayoutModel": "@jupyter-widgets/base",
    "OutputModel": "@jupyter-widgets/output",
}
_VIEWS = {
    "BoundedFloatTextModel": "FloatTextView",
    "BoundedIntTextModel": "IntTextView",
    "FloatProgressModel": "ProgressView",
    "IntProgressModel": "ProgressView",
    "NaiveDatetimeModel": "DatetimeView",
}
_FORMATS = {
    "ImageModel": ("png", "jpeg", "jpg", "gif", "webp"),  # not svg: it is a document, in a tab of its own even a program
    "VideoModel": ("mp4", "webm", "ogg"),
    "AudioModel": ("mp3", "mpeg", "wav", "ogg", "webm"),
}
_DATE = ("year", "month", "date", "hours", "minutes", "seconds", "milliseconds")
_FILE = ("name", "type", "size", "last_modified")
_LINKS = ("LinkModel", "DirectionalLinkModel")
#: What a link may copy from or to, and of which widgets it may not: there it would go around what is checked here.
_LINKED = ("value", "min", "max", "step", "disabled", "index", "selected_index", "description", "placeholder")
_UNLINKED = ("HTMLModel", "HTMLMathModel", "OutputModel", "FileUploadModel", *_FORMATS, *_LINKS)

_VERSION = re.compile(r"[\^~]?\d{1,4}(\.\d{1,4}){0,2}|")
_REFERENCE = re.compile(r"IPY_MODEL_([0-9A-Za-z_-]{1,64})")
_WORD = re.compile(r"[a-z_-]{0,30}")
_ICON = re.compile(r"[\w-]{0,60}", re.ASCII)
#: A class of the page's own could make a widget what covers the page.
_CLASS = re.compile(r"(widget-|jupyter-widget|mod-)[\w-]{1,60}", re.ASCII)
_STYLE = re.compile(r"""[\w #%.,()+/*'"-]{0,300}""", re.ASCII)
_STYLE_CALL = re.compile(r"([\w-]*)\s*\(", re.ASCII)
_STYLE_CALLS = ("", "calc", "min", "max", "clamp", "rgb", "rgba", "hsl", "hsla", "var", "repeat", "minmax", "fit-content")


def is_version(value: Any) -> bool:
    """Tell whether this is a version of the widgets' protocol that the front end speaks."""
    return isinstance(value, str) and re.fullmatch(r"2(\.\d{1,3}){1,2}", value, re.ASCII) is not None


def is_view(content: Any) -> bool:
    """Tell whether this is what shows a widget in the place of an output."""
    return (
        isinstance(content, dict)
        and set(content) == {"model_id", "version_major", "version_minor"}
        and isinstance(content["model_id"], str)
        and _REFERENCE.fullmatch("IPY_MODEL_" + content["model_id"]) is not None
        and all(type(content[name]) is int and 0 <= content[name] < 100 for name in ("version_major", "version_minor"))
    )


class RefusedError(ValueError):
    """A property, or a whole widget, that is left out."""


# -- one property: each returns it as it may pass, or raises RefusedError ---------------------------------------------------


def _scalar(value: Any) -> Any:
    if isinstance(value, str) and len(value) <= MOST_TEXT:
        return policy.clean_text(value)
    if value is None or type(value) in (bool, int, float):
        return value
    raise RefusedError


def _plain(value: Any) -> Any:
    """A value, several, or the parts of a date."""
    if isinstance(value, list) and len(value) <= MOST_ITEMS:
        return [_scalar(item) for item in value]
    return _named(value, _DATE) if isinstance(value, dict) else _scalar(value)


def _named(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(value, dict) and set(value) <= set(names):
        return {name: _scalar(item) for name, item in value.items()}
    raise RefusedError


def _matched(pattern: re.Pattern[str], value: Any) -> Any:
    if value is None or (isinstance(value, str) and pattern.fullmatch(value)):
        return value
    raise RefusedError


def _word(value: Any) -> Any:
    return _matched(_WORD, value)


def _icon(value: Any) -> Any:
    # Several words in one would be several classes.
    return [_matched(_ICON, item) for item in value] if isinstance(value, list) else _matched(_ICON, value)


def _classes(value: Any) -> Any:
    return [_matched(_CLASS, item) for item in _listed(value)]


def _style(value: Any) -> Any:
    if type(value) in (int, float):
        return value
    text = _matched(_STYLE, value)
    if text and ("/*" in text or any(word not in _STYLE_CALLS for word in _STYLE_CALL.findall(text))):
        raise RefusedError
    return text


def _references(value: Any) -> Any:
    if isinstance(value, list):
        return [_matched(_REFERENCE, item) for item in _listed(value)]
    return _matched(_REFERENCE, value)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list) and len(value) <= MOST_ITEMS:
        return value
    raise RefusedError


def _never(value: Any) -> Any:
    """What may only be off."""
    if value in (False, None):
        return value
    raise RefusedError


def _html(value: Any) -> Any:
    if isinstance(value, str) and len(value) <= MOST_TEXT:
        return markup.clean_html(policy.clean_text(value), "Runner.widgets=trusted") or ""
    raise RefusedError


def _files(value: Any) -> Any:
    return [_named(item, _FILE) for item in _listed(value)]


def _outputs(value: Any) -> Any:
    return [_output(item) for item in _listed(value)]


def _output(item: Any) -> dict[str, Any]:
    kind = item.get("output_type") if isinstance(item, dict) else None
    if kind == "stream" and item.get("name") in ("stdout", "stderr"):
        text = item.get("text")
        return {"output_type": kind, "name": item["name"], "text": policy.clean_text(text if isinstance(text, str) else "")}
    if kind in ("display_data", "execute_result") and isinstance(item.get("data"), dict):
        shown: dict[str, Any] = {"output_type": kind, "data": policy.clean_bundle(item["data"]), "metadata": {}}
        return {**shown, "execution_count": None} if kind == "execute_result" else shown
    if kind == "error":
        lines = item.get("traceback")
        traceback = [policy.clean_text(line) for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
        names = {name: policy.clean_word(str(item.get(name, "")), 300) for name in ("ename", "evalue")}
        return {"output_type": kind, **names, "traceback": traceback}
    raise RefusedError


_STYLED = """align_content align_items align_self border_bottom border_left border_right border_top bottom display flex
    flex_flow grid_area grid_auto_columns grid_auto_flow grid_auto_rows grid_column grid_gap grid_row grid_template_areas
    grid_template_columns grid_template_rows height justify_content justify_items left margin max_height max_width
    min_height min_width object_fit object_position order overflow padding right top visibility width
    background bar_color button_color button_width description_width font_family font_size font_style font_variant
    font_weight handle_color text_color text_decoration"""
_PLAIN = """_options_labels _view_count accept allow_duplicates allowed_tags autoplay base concise connected continuous_update
    controls description disabled ensure_option error format indent index interval loop mapping max min multiple name
    options placeholder playing pressed readout readout_format repeat rows selected_index show_repeat step tabbable
    timestamp titles tooltip tooltips value"""
_Clean = Callable[[Any], Any]
_PROPERTIES: dict[str, _Clean] = {
    **dict.fromkeys(_STYLED.split(), _style),
    **dict.fromkeys(_PLAIN.split(), _plain),
    **dict.fromkeys(["bar_style", "behavior", "box_style", "button_style", "orientation", "tag_style"], _word),
    **dict.fromkeys(["axes", "buttons", "children", "layout", "style"], _references),
    **dict.fromkeys(["icon", "icons"], _icon),
    "_dom_classes": _classes,
    "description_allow_html": _never,
}
_PROPERTIES_OF: dict[tuple[str, str], _Clean] = {
    ("HTMLModel", "value"): _html,
    ("HTMLMathModel", "value"): _html,
    ("FileUploadModel", "value"): _files,
    ("OutputModel", "outputs"): _outputs,
    **{(model, "value"): _never for model in _FORMATS},  # It comes as a buffer.
}


# -- a state -----------------------------------------------------------------------------------------------------------


def model_of(state: Mapping[str, Any]) -> str:
    """Return the model that a new widget's state names. Raises RefusedError."""
    name = state.get("_model_name")
    if not isinstance(name, str) or name not in _MODULES:
        raise RefusedError(f"{state.get('_model_module')} {name}")
    _check_class(name, "_model_module", state.get("_model_module"))
    return name


def _check_class(model: str, name: str, value: Any) -> Any:
    """Return what a state says of the code to use, when it is the model's own."""
    view = None if model in _LINKS else _VIEWS.get(model, re.sub("Model$", "View", model))
    view = "StyleView" if model.endswith("StyleModel") else view
    right: dict[str, tuple[Any, ...]] = {
        "_model_name": (model,),
        "_model_module": (_MODULES[model],),
        "_view_name": (view, None),
        "_view_module": (_MODULES[model], "@jupyter-widgets/base", None) if view == "StyleView" else (_MODULES[model], None),
    }
    if name in right and value in right[name]:
        return value
    if name in ("_model_module_version", "_view_module_version"):
        return _matched(_VERSION, value)
    raise RefusedError


def clean_state(
    model: str, state: Mapping[str, Any], known: Mapping[str, str], parent: str
) -> tuple[dict[str, Any], list[str]]:
    """Return the properties that may pass, and the names of the others.

    ``known`` are the models by their identifiers; ``parent`` is the id of the request that is being answered.
    """
    kept, refused = {}, []
    for name, value in state.items():
        try:
            kept[name] = _clean_property(model, name, value, known, parent)
        except (RefusedError, RecursionError):
            refused.append(f"{model}.{policy.clean_word(name)}")
    return kept, refused


def _clean_property(model: str, name: str, value: Any, known: Mapping[str, str], parent: str) -> Any:
    if name.startswith(("_model_", "_view_")) and name != "_view_count":
        return _check_class(model, name, value)
    if model == "OutputModel" and name == "msg_id":
        # Who names another request takes its output away.
        return _one_of(("", parent), value)
    if model in _LINKS and name != "_view_count":
        return _linked(value, known) if name in ("source", "target") else _refuse()
    if name == "format" and model in _FORMATS:
        return _one_of(_FORMATS[model], value)
    clean = _PROPERTIES_OF.get((model, name)) or _PROPERTIES.get(name)
    return clean(value) if clean is not None else _refuse()


def _one_of(words: tuple[str, ...], value: Any) -> Any:
    return value if isinstance(value, str) and value in words else _refuse()


def _refuse() -> Any:
    raise RefusedError


def _linked(value: Any, known: Mapping[str, str]) -> Any:
    reference, name = value if isinstance(value, list) and len(value) == 2 else (None, None)
    match = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    other = known.get(match.group(1), "") if match else ""
    if other and other not in _UNLINKED and not other.endswith(("StyleModel", "LayoutModel")) and name in _LINKED:
        return value
    raise RefusedError


def clean_buffers(model: str, paths: Any, buffers: list[str]) -> tuple[list[list[Any]], list[bytes]]:
    """Return where in a state binary parts belong, and the parts; what may have none there is left out."""
    kept: list[list[Any]] = []
    parts = []
    for path, buffer in zip(paths if isinstance(paths, list) else [], buffers, strict=False):
        upload = isinstance(path, list) and len(path) == 3 and path[0] == "value" and path[2] == "content"
        if (model in _FORMATS and path == ["value"]) or (
            model == "FileUploadModel" and upload and type(path[1]) is int and 0 <= path[1] < MOST_ITEMS
        ):
            try:
                parts.append(base64.b64decode(buffer, validate=True))
                kept.append(path)
            except (binascii.Error, ValueError):
                continue
    return kept, parts
