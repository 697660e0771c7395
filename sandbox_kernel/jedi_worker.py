"""The program that reads the cells' sources with jedi: one line of JSON in, one out. It runs none of them.

It is a process of its own so that it can be ended: what jedi makes of a hostile source may take for ever. It sees the
packages of the host's interpreter (its ``sys.path`` comes as its argument) and nothing else of the user's: not the
notebook's folder, not the environment. jedi imports modules that are compiled, and only from that path.

jedi keeps what it has parsed in files that it writes in place: who reads one that another of us is writing, or was ended in
the middle of, has a torn pickle. So its cache is a directory of ours (the second argument), thrown away when it is torn.

``{"do": "complete", "code", "line", "column"}`` is answered with ``[[NAME, TYPE, SIGNATURE], ...]``;
``{"do": "explain", ...}`` with ``{"name", "type", "signature", "doc"}`` or null. ``{"do": "learn", ...}`` is as complete, but
nothing is told: it has read then what it needs for the next answers.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from typing import Any

#: Seconds after which it ends by itself when nobody asks, and when one answer takes too long.
IDLE_S = 600
ANSWER_S = 20
MOST_MATCHES = 500
MOST_DOC = 20_000
#: Seconds that the types of all proposals may take: each may be the first look at another module.
TYPES_S = 0.5
#: The cache may be torn again by the time of the second answer, as others write in it.
ATTEMPTS = 3


def main() -> None:
    """Answer until stdin ends."""
    sys.path[:] = json.loads(sys.argv[1])
    # The default handler of both ends this process.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(IDLE_S)
    for line in sys.stdin.buffer:
        signal.alarm(ANSWER_S)
        try:
            answer = _answer_whole(json.loads(line), sys.argv[2])
        except Exception:  # noqa: BLE001 - jedi raises whatever the source makes it raise, and then there is no answer
            answer = None
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        signal.alarm(IDLE_S)


def _answer_whole(asked: dict[str, Any], cache: str) -> Any:
    for _ in range(ATTEMPTS - 1):
        try:
            return _answer(asked, cache)
        except Exception as error:
            if not _is_torn(error):
                raise
            shutil.rmtree(cache, ignore_errors=True)
    return _answer(asked, cache)


def _is_torn(error: Exception) -> bool:
    """Whether a file of the cache was not whole, or could not be written: another of us may have thrown all away."""
    return isinstance(error, (EOFError, OSError)) or type(error).__name__ == "UnpicklingError"


def _answer(asked: dict[str, Any], cache: str) -> Any:
    import jedi  # noqa: PLC0415 - from the path that came as the argument

    jedi.settings.cache_directory = cache
    jedi.settings.auto_import_modules = []
    project = jedi.Project("/", sys_path=sys.path, smart_sys_path=False)
    script = jedi.Script(asked["code"], environment=jedi.InterpreterEnvironment(), project=project)
    if asked["do"] in ("complete", "learn"):
        found = script.complete(asked["line"], asked["column"])[:MOST_MATCHES]
        until = time.monotonic() + TYPES_S
        rows = [[item.name_with_symbols, item.type if time.monotonic() < until else "instance", ""] for item in found]
        return rows if asked["do"] == "complete" else []
    return next((_explained(item) for item in script.infer(asked["line"], asked["column"])), None)


def _explained(found: Any) -> dict[str, str]:
    signatures = found.get_signatures()
    parts = signatures[0].to_string() if signatures else ""
    return {
        "name": found.name,
        "type": found.type,
        "signature": _bound(parts[parts.find("(") :]) if "(" in parts else "",
        "doc": found.docstring(raw=True)[:MOST_DOC],
    }


def _bound(parameters: str) -> str:
    return parameters.replace("(self, ", "(", 1).replace("(self)", "()", 1)


if __name__ == "__main__":
    main()
