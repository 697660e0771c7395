"""The modules of this package, taken from the archive in one piece.

For each that Python takes from an archive by itself the archive is opened, searched and read anew, which takes a sandbox as
long as to run what the module says.
"""

from __future__ import annotations

import marshal
import sys
import zlib
from _frozen_importlib_external import MAGIC_NUMBER  # importlib.util has it too, and much else.

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

#: In the archive: what tells of which Python it is; a line of names and sizes; the code of each module, compressed by itself,
#: because a new sandbox needs half of them.
CODE = "code"


def begin() -> None:
    """Have them come from there, where the package lies in an archive that has code for this Python."""
    package: Any = sys.modules[__package__]
    spec, [place] = package.__spec__, package.__path__
    if not hasattr(spec.loader, "archive"):
        return
    try:
        data = spec.loader.get_data("%s/%s" % (place, CODE))
    except OSError:
        return
    if data.startswith(MAGIC_NUMBER):
        end = data.index(b"\n", len(MAGIC_NUMBER))
        codes, at = {}, end + 1
        words = data[len(MAGIC_NUMBER) : end].decode("ascii").split()
        for name, size in zip(words[::2], map(int, words[1::2])):
            codes[name] = data[at : at + size]
            at += size
        # Asked for what is in this package alone. Who empties this gets the sources, from the archive.
        sys.path_importer_cache[place] = Piece(type(spec), place, spec.loader, codes)


class Piece:
    """Finds and loads the modules of this package."""

    def __init__(self, spec: Any, place: str, archive: Any, codes: Dict[str, bytes]) -> None:
        self._spec = spec
        self._place = place
        self._archive = archive
        self._codes = codes

    def find_spec(self, name: str, _target: Any = None) -> Any:
        """See ``importlib.abc.PathEntryFinder``."""
        word = name.rpartition(".")[2]
        if word not in self._codes:
            return None
        found = self._spec(name, self, origin="%s/%s.py" % (self._place, word))
        found.has_location = True
        return found

    def create_module(self, _spec: Any) -> None:
        """See ``importlib.abc.Loader``."""

    def exec_module(self, module: Any) -> None:
        """See ``importlib.abc.Loader``."""
        exec(marshal.loads(zlib.decompress(self._codes[module.__name__.rpartition(".")[2]])), module.__dict__)

    def get_source(self, name: str) -> Any:
        """See ``importlib.abc.InspectLoader``: for tracebacks."""
        return self._archive.get_source(name)
