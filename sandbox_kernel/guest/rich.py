"""Values to MIME bundles, by the methods that IPython's display protocol names; figures of matplotlib at a cell's end."""

from __future__ import annotations

import builtins
import io
import os
import sys

from . import TYPE_CHECKING, notation, text, wire

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple, Union

_METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_latex_": "text/latex",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
}


def bundle(value: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Return data and metadata for ``value``. A method that raises is left out and named on stderr; ``repr`` may raise."""
    data: Dict[str, Any] = {"text/plain": text.cut(repr(value))}
    metadata: Dict[str, Any] = {}
    if isinstance(value, type):
        return data, metadata
    made = _call(value, "_repr_mimebundle_", include=None, exclude=None)
    pairs = [("", made)] + [(mime, _call(value, name)) for name, mime in _METHODS.items()]
    for mime, content in pairs:
        extra: Any = None
        if isinstance(content, tuple) and len(content) == 2:
            content, extra = content
        if mime:
            content, extra = {mime: content}, {mime: extra} if extra else None
        if isinstance(content, dict):
            data.update({name: _plain(item) for name, item in content.items() if isinstance(name, str) and item is not None})
            metadata.update(extra if isinstance(extra, dict) else {})
    if _is_figure(value):
        data.setdefault("image/png", png_of(value))
    return _jsonable(data), _jsonable(metadata)


def sendable(data: Any, metadata: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Return a bundle and its metadata that somebody else made, as far as they can be sent."""
    plain = {name: _plain(item) for name, item in data.items() if isinstance(name, str) and item is not None}
    return _jsonable(plain), _jsonable(metadata if isinstance(metadata, dict) else {})


def small(data: Dict[str, Any]) -> Dict[str, Any]:
    """Return of a bundle what can be an answer beside the output: texts are cut, what is as long in another form left out."""
    kept = {mime: text.cut(item) if mime == "text/plain" and isinstance(item, str) else item for mime, item in data.items()}
    return {mime: item for mime, item in kept.items() if len(notation.dumps(item)) <= 6 * text.MOST_CHARACTERS}


def _call(value: Any, name: str, **arguments: Any) -> Any:
    method = getattr(type(value), name, None)
    if not callable(method):
        return None
    try:
        return method(value, **arguments)
    except NotImplementedError:  # The agreed way to say: not in this form.
        return None
    except Exception as error:
        print("%s of %s raised %s" % (name, type(value).__name__, type(error).__name__), file=sys.stderr)
        return None


def _plain(content: Any) -> Any:
    if isinstance(content, (bytes, bytearray)):
        return notation.base64(content)
    return text.sendable(content) if isinstance(content, str) else content


def _jsonable(values: Dict[str, Any]) -> Dict[str, Any]:
    kept = {}
    for name, item in values.items():
        try:
            kept[text.sendable(name)] = notation.loads(notation.dumps(item, exact=True))
        except (TypeError, ValueError, RecursionError, AttributeError):
            continue
    return kept


class Display:
    """The function ``display``, as people know it from IPython."""

    def __init__(self, emit: Callable[[wire.Event], None]) -> None:
        self._emit = emit

    def __call__(
        self, *values: Any, display_id: Union[str, bool, None] = None, update: bool = False
    ) -> Optional[DisplayHandle]:
        """Show each value in its richest form. With a ``display_id`` return what can show another in its place."""
        name = os.urandom(16).hex() if display_id is True else str(display_id) if display_id else None
        for value in values:
            data, metadata = bundle(value)
            self._emit(wire.Display(data, metadata, name, bool(update)))
        return None if name is None or update else DisplayHandle(name)

    def __repr__(self) -> str:
        return "<function display>"


class DisplayHandle:
    """What was shown and can be replaced, in a later cell too."""

    def __init__(self, display_id: str) -> None:
        self.display_id = display_id

    def update(self, value: Any) -> None:
        """Show ``value`` in its place."""
        _display(value, display_id=self.display_id, update=True)

    def display(self, value: Any) -> None:
        """Show ``value`` once more; both places change with the next update."""
        _display(value, display_id=self.display_id)


def _display(value: Any, **options: Any) -> None:
    # Not that of the process in which the handle was made.
    builtins.display(value, **options)  # type: ignore[attr-defined]


def show_figures(emit: Callable[[wire.Event], None]) -> None:
    """Show and close the open figures of matplotlib, as a notebook does at the end of a cell."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        emit(wire.Display({"text/plain": repr(figure), "image/png": png_of(figure)}))
        pyplot.close(figure)


def _is_figure(value: Any) -> bool:
    module = sys.modules.get("matplotlib.figure")
    return module is not None and isinstance(value, module.Figure)


def png_of(figure: Any) -> str:
    """Return a figure of matplotlib as PNG in base64."""
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return notation.base64(file.getvalue())
