"""Widgets: both ends of the ``comm`` package, which ipywidgets, and tqdm through it, speak with.

A widget has a half in the cell's process and one in the front end. What the one here says becomes :class:`.wire.Comm`; what
the other says comes as a cell without code, so that it has a time limit, can be interrupted and may show things like any
cell. Nothing is done before a cell imports ``comm``: most never do.

Some ask for the Jupyter kernel around them. They get :class:`Kernel`, which knows what they ask for: the request that is
being answered, by which the front end tells what is to be shown inside of an Output widget.
"""

from __future__ import annotations

import binascii
import math
import sys
import types

from . import TYPE_CHECKING, finding, notation, text, wire
from .hooks import ImportWatch

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

#: A message that is larger is not sent: the state of a widget is not how to send a file.
MOST_BYTES = 8 << 20
#: Being loaded tells tqdm that it runs in a notebook.
_ZMQSHELL = "ipykernel.zmqshell"
_TQDM = "tqdm.autonotebook"


class Kernel:
    """What ``get_ipython().kernel`` is here: as much of an ipykernel as widgets ask for."""

    def __init__(self) -> None:
        self.comm_manager: Any = None
        self.msg_id = ""

    def get_parent(self, _channel: Optional[str] = None) -> Dict[str, Any]:
        """Return the request that is being answered."""
        return {"header": {"msg_id": self.msg_id}, "parent_header": {}, "metadata": {}, "content": {}}

    def __reduce__(self) -> Any:
        raise TypeError("it stands for the notebook that this cell runs in")


class Comms:
    """The comms of the cell's process."""

    def __init__(self, emit: Callable[[wire.Event], None]) -> None:
        self._emit = emit
        self.kernel = Kernel()

    def watch(self) -> None:
        """Be there when a cell imports what needs us."""
        _Watch({"comm": self._install, _TQDM: _forget_zmqshell}).begin()

    def begin(self, parent: str) -> None:
        """A cell, or a message of the front end's, begins. ``parent``: the id of the request."""
        self.kernel.msg_id = parent
        self._attach()

    def _attach(self) -> None:
        shell = _shell()
        if shell is not None and getattr(shell, "kernel", None) is None:
            shell.kernel = self.kernel

    def _install(self, package: Any) -> None:
        base, manager = getattr(package, "BaseComm", None), getattr(package, "CommManager", None)
        if base is None or manager is None:
            return  # A module of the user's that has the same name.
        made = self.kernel.comm_manager = manager()
        package.create_comm = _comm_class(base, self.kernel, self._say)
        package.get_comm_manager = lambda: made
        self._attach()

    def _say(self, event: wire.Comm) -> None:
        size = len(wire.dump(event))
        if size > MOST_BYTES:
            print("A widget's message of %d MiB is too large to be shown." % (size >> 20), file=sys.stderr)
        else:
            self._emit(event)

    def handle(self, said: Dict[str, Any]) -> None:
        """Give to a widget what the front end says. Raises what its callbacks raise; nothing when it is gone."""
        manager = self.kernel.comm_manager
        comm = manager.comms.get(said["id"]) if manager is not None else None
        if comm is None:
            return
        message = {
            **self.kernel.get_parent(),
            "content": {"comm_id": said["id"], "data": said["data"]},
            "metadata": said["metadata"],
            "buffers": [binascii.a2b_base64(item) for item in said["buffers"]],
        }
        if said["kind"] == "close":
            manager.comm_close(None, None, message)
        else:
            comm.handle_msg(message)


def _comm_class(base: Any, kernel: Kernel, say: Callable[[wire.Comm], None]) -> Any:
    class Comm(base):  # type: ignore[misc]
        """A widget's half that speaks through the sandbox's wire."""

        def publish_msg(
            self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
        ) -> None:
            parts = [notation.base64(item) for item in buffers or ()]
            target = keys.get("target_name") or ""
            kind = msg_type.rpartition("_")[2]
            say(wire.Comm(kind, self.comm_id, target, plain(data or {}), plain(metadata or {}), parts))

        def handle_msg(self, msg: Any) -> None:
            # The base class needs IPython for this, and its manager writes errors into a log that nobody reads.
            shell = _shell()
            if self._msg_callback is None:
                return
            if shell is not None:
                shell.events.trigger("pre_execute")
            self._msg_callback(msg)
            if shell is not None:
                shell.events.trigger("post_execute")

        def __reduce__(self) -> Any:
            raise TypeError("a widget's other half is in the notebook; it cannot be taken along")

    Comm.kernel = kernel  # Output widgets look for it here when there is no IPython shell.
    return Comm


def plain(value: Any) -> Any:
    """Return what JSON can say of ``value``, as ipykernel does it."""
    if isinstance(value, dict):
        return {text.sendable(str(name)): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int)) else _plain_one(value)


def _plain_one(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return notation.base64(value)
    import numbers

    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else repr(number)
    return text.sendable(value if isinstance(value, str) else str(value))


def _shell() -> Any:
    """Return IPython's shell, when there is one; IPython is not loaded for the question."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get() if get is not None else None


class _Watch(ImportWatch):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name == _TQDM and _shell() is not None and finding.is_there("ipywidgets"):
            # `tqdm.auto` draws widgets only where this module is loaded, and looks for nothing in it.
            sys.modules.setdefault(_ZMQSHELL, types.ModuleType(_ZMQSHELL, _NOTE))
        return super().find_spec(name, path, target)


_NOTE = "Stands here while tqdm asks whether it runs in a notebook."


def _forget_zmqshell(_tqdm: Any) -> None:
    if getattr(sys.modules.get(_ZMQSHELL), "__doc__", None) == _NOTE:
        del sys.modules[_ZMQSHELL]
