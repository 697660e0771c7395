"""What a shell keeps in the namespace beside the user's variables, and how it is carried to another sandbox.

``In``, ``Out``, ``_``, ``__``, ``___``, ``_7``, ``_i`` and so on stand in the namespace, as people know them from IPython.
The values ``_7`` are carried like variables, one by one, so that one that cannot be carried takes no other along; the rest
of what a shell knows is plain data under one name, :data:`STATE`, from which the next shell makes its names again.
"""

from __future__ import annotations

from . import TYPE_CHECKING, finding

if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

#: The name under which a shell is carried.
STATE = "_sandbox_shell"
#: Newest results and inputs that are carried; in one sandbox there is more.
MOST_RESULTS = 20
MOST_INPUTS = 1000
MOST_CHARACTERS = 256 << 10
MOST_OF_TRACE = 16 << 10

UNDERSCORES = ("_", "__", "___")
_RESULT = r"_(\d+)"
#: A result, or something in one, among what was lost: ``_7[0]``, ``a member of _``.
_IN_RESULT = r"(a (?:member|key) of )?(?:_(\d+)|_{1,3})(\W.*)?"
_INPUTS = r"_i+|_i\d+"


def _match(pattern: str, name: str) -> Any:
    re = finding.standard("re")  # Few names begin like that.
    return re.fullmatch(pattern, name, re.DOTALL)


def is_result(name: str) -> bool:
    """Say whether a name is one of those that results have."""
    return name in UNDERSCORES or (name[:1] == "_" and _match(_RESULT, name) is not None)


def nearness(name: str) -> int:
    """Return a key that sorts the names of one value by how well they tell of it: variables, ``_7``, then ``_``."""
    return is_result(name) + (name in UNDERSCORES)


def take_results(names: Dict[str, Any], results: Dict[int, Any]) -> List[int]:
    """Leave only the newest results in the namespace, and return their numbers."""
    kept = sorted(results)[-MOST_RESULTS:]
    for number, value in results.items():
        name = "_%d" % number
        if number not in kept and name in names and names[name] is value:
            del names[name]
    return [number for number in kept if "_%d" % number in names]


def found_results(names: Dict[str, Any], numbers: List[int]) -> Dict[int, Any]:
    """Return the results that were carried, by number. What was lost on the way stands there as that."""
    return {number: names["_%d" % number] for number in numbers if "_%d" % number in names}


def take_inputs(lines: List[str]) -> List[str]:
    """Return the inputs to carry, each at the index it had: those that are too old are empty."""
    kept: List[str] = []
    left = MOST_CHARACTERS
    for line in reversed(lines[-MOST_INPUTS:]):
        left -= len(line)
        if left < 0:
            break
        kept.append(line)
    return [""] * (len(lines) - len(kept)) + kept[::-1]


def take_trace(lines: List[str]) -> List[str]:
    """Return the last error as it is carried for ``%tb``: nothing when it is long."""
    return lines if sum(map(len, lines)) <= MOST_OF_TRACE else []


def fit(lines: List[str], count: int) -> None:
    """Make the next input that is appended that with the number ``count``."""
    del lines[max(1, count) :]
    lines.extend([""] * (count - len(lines)))


def remove_inputs(names: Dict[str, Any]) -> None:
    """Take ``_i``, ``_i7`` and so on out of the namespace, as far as they are ours."""
    for name in [name for name in names if name[:2] == "_i" and _match(_INPUTS, name) and type(names[name]) is str]:
        del names[name]


def add_inputs(names: Dict[str, Any], lines: List[str]) -> None:
    """Put ``_i``, ``_ii``, ``_iii`` and ``_i1``, ``_i2``, ... into the namespace."""
    for number, line in enumerate(lines):
        if number and line:
            names["_i%d" % number] = line
    for back, name in enumerate(("_i", "_ii", "_iii"), 1):
        names[name] = lines[-back] if back < len(lines) else ""


def told(lost: List[List[str]]) -> List[List[str]]:
    """Return what was lost as the user knows it: a result is named once, as that."""
    found = []
    for name, why in lost:
        result = _match(_IN_RESULT, name)
        if result is None:
            found.append([name, why])
        elif result.group(2):
            found.append(["%sOut[%s]%s" % (result.group(1) or "", result.group(2), result.group(3) or ""), why])
    return found


def rank(names: List[str], size: int) -> Tuple[bool, int]:
    """Return a key that sorts what is to be kept first: variables before results, small before large."""
    return all(map(is_result, names)), size
