"""What the host says to the guest: see :mod:`.wire`."""

from __future__ import annotations

from . import TYPE_CHECKING
from .checks import (
    is_bundle,
    is_count,
    is_flag,
    is_lines,
    is_seconds,
    is_text,
    is_texts,
    one_of,
    or_none,
)
from .records import field, record

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .checks import Table


@record(frozen=True)
class Cell:
    """The code to run.

    Attributes:
        number: Counts the cells of one session.
        code: The source.
        name: What tracebacks call it.
        timeout_s: Seconds after which the guest tells it to end. None: no limit.
        grace_s: Seconds that it then has to end by itself, before it is killed. 0: it is killed at once.
        answer_s: Seconds that it may wait for the user's answers and that do not count.
        output_bytes: Limit of its output on the wire.
        files: Input files by name, contents in base64, written to the working directory first.
        collect_bytes: Limit for the contents of files it leaves there. 0: files are not looked at.
        silent: Nothing is shown, no result.
        count: The number in ``In[n]`` and ``Out[n]``.
        store_history: It goes into the history of the session: ``In``, ``Out``, ``_``.
        expressions: To evaluate at the end, by name; the answer is Expressions.
        stdin: Somebody can answer an InputRequest.
        parent: The id of the Jupyter request that it came with; widgets name it to the front end.
        notebook: It comes from a notebook: there are magics and a history, and tracebacks as ipykernel shows them.
        outline: An Outline is wanted at the end, without the types and modules of these keys, which are known. None: no.
        comm: Instead of code: what the front end says to a widget, as the fields of :class:`.events.Comm`.
    """

    number: int
    code: str
    name: str = "<cell>"
    timeout_s: Optional[float] = None
    grace_s: float = 0.0
    answer_s: float = 0.0
    output_bytes: int = 8 * 2**20
    files: Dict[str, str] = field(default_factory=dict)
    collect_bytes: int = 0
    silent: bool = False
    count: int = 0
    store_history: bool = True
    expressions: Dict[str, str] = field(default_factory=dict)
    stdin: bool = False
    parent: str = ""
    notebook: bool = False
    outline: Optional[List[str]] = None
    comm: Optional[Dict[str, Any]] = None


@record(frozen=True)
class Input:
    """The answer to an InputRequest. None: there is none, and ``input()`` raises EOFError."""

    text: Optional[str]


@record(frozen=True)
class Interrupt:
    """Raise KeyboardInterrupt in the cell that runs."""


@record(frozen=True)
class Wake:
    """The first message to a restored sandbox, which then says Ready.

    Attributes:
        session: The session it belongs to now.
        anew: It is a new life, not the next cell of the life that was saved: what nobody seeded is seeded again.
    """

    session: str
    anew: bool = False


@record(frozen=True)
class Ask:
    """Asks what the namespace holds; the answer is Names."""


@record(frozen=True)
class Look:
    """Asks of one thing while no cell runs; the answer is Seen with the same number.

    Attributes:
        what: ``name``: the subject is an expression to explain. ``members``: one of which is told what it has. ``paths``: it
            is what paths begin with.
    """

    number: int
    what: str
    subject: str


#: What may stand in each field, by the message's word.
TABLE: Table = {
    "cell": (
        Cell,
        {
            "number": is_count,
            "code": is_text,
            "name": is_text,
            "timeout_s": or_none(is_seconds),
            "grace_s": is_seconds,
            "answer_s": is_seconds,
            "output_bytes": is_count,
            "files": is_texts,
            "collect_bytes": is_count,
            "silent": is_flag,
            "count": is_count,
            "store_history": is_flag,
            "expressions": is_texts,
            "stdin": is_flag,
            "parent": is_text,
            "notebook": is_flag,
            "outline": or_none(is_lines),
            "comm": or_none(is_bundle),
        },
    ),
    "input": (Input, {"text": or_none(is_text)}),
    "interrupt": (Interrupt, {}),
    "wake": (Wake, {"session": is_text, "anew": is_flag}),
    "ask": (Ask, {}),
    "look": (Look, {"number": is_count, "what": one_of("name", "members", "paths"), "subject": is_text}),
}
