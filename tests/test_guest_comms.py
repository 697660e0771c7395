"""Widgets in the guest: what they say, what is said to them, and who asks whether this is a notebook."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import pytest
from guests import Guest, Said, run

from sandbox_kernel.guest import output, wire
from sandbox_kernel.guest.updates import Updates

#: A comm whose other half is in the page, with a callback.
OPEN = """
import comm
made = comm.create_comm(target_name='jupyter.widget', comm_id='a1', data={'state': {'x': 1}}, buffers=[b'xyz'])
def take(message):
    print(message['header']['msg_id'], message['content']['data'], message['buffers'])
    if message['content']['data'] == 'raise':
        raise ValueError('no')
made.on_msg(take)
"""


def say(guest: Guest, number: int, **said: Any) -> Said:
    """Say something to a widget and return what comes of it."""
    before = len(guest.said)
    fields = {"kind": "msg", "id": "a1", "data": {}, "metadata": {}, "buffers": [], **said}
    guest.write(wire.dump(wire.Cell(number, "", comm=fields, parent=f"request-{number}")))
    guest.until(lambda said: len(said.of(wire.Finished)) == number)
    return Said(guest.said[before:])


def test_a_comm_goes_both_ways(tmp_path: Path) -> None:
    """What a comm says are events; what is said to it calls its callback, whose exception is the error of that word."""
    with Guest(tmp_path, lasting=True) as guest:
        guest.deliver(OPEN)
        said = guest.until(lambda said: said.of(wire.Finished))
        assert said.of(wire.Comm) == [
            wire.Comm("open", "a1", "jupyter.widget", {"state": {"x": 1}}, {}, [base64.b64encode(b"xyz").decode()])
        ]
        said = say(guest, 2, data={"a": 1}, buffers=["YWJj"])
        assert said.out == "request-2 {'a': 1} [b'abc']\n"
        assert (said[-1].outcome, said[-1].lives) == ("ok", True)
        said = say(guest, 3, data="raise")
        assert [error.name for error in said.of(wire.Error)] == ["ValueError"]
        assert (said[-1].outcome, said[-1].lives) == ("error", True)
        assert say(guest, 4, id="another").out == ""
        guest.deliver("made.send({'method': 'custom'}); made.close()", number=5)
        said = guest.until(lambda said: len(said.of(wire.Finished)) == 5)
        assert said.of(wire.Comm)[1:] == [wire.Comm("msg", "a1", data={"method": "custom"}), wire.Comm("close", "a1")]
        assert say(guest, 6).out == ""


def test_the_other_half_closes_a_comm(tmp_path: Path) -> None:
    """A comm that is closed from the page tells its callback and says nothing more."""
    with Guest(tmp_path, lasting=True) as guest:
        guest.deliver(OPEN + "made.on_close(lambda message: print('closed'))")
        guest.until(lambda said: said.of(wire.Finished))
        assert say(guest, 2, kind="close").out == "closed\n"
        guest.deliver("made.close(); print(comm.get_comm_manager().comms)", number=3)
        said = guest.until(lambda said: len(said.of(wire.Finished)) == 3)
        assert said.out.endswith("{}\n") and len(said.of(wire.Comm)) == 1


def test_nobody_speaks_to_a_session_without_widgets(tmp_path: Path) -> None:
    """A word to a widget in a process that has never seen the package does nothing, and does not load it."""
    with Guest(tmp_path, lasting=True) as guest:
        assert say(guest, 1)[-1].outcome == "ok"
        guest.deliver("import sys; print('comm' in sys.modules)", number=2)
        assert guest.until(lambda said: len(said.of(wire.Finished)) == 2).out == "False\n"


def test_a_word_to_a_widget_has_a_time_limit(tmp_path: Path) -> None:
    """A callback that does not end is ended like a cell."""
    with Guest(tmp_path, lasting=True) as guest:
        guest.deliver(OPEN + "made.on_msg(lambda message: __import__('time').sleep(60))")
        guest.until(lambda said: said.of(wire.Finished))
        fields = {"kind": "msg", "id": "a1", "data": {}, "metadata": {}, "buffers": []}
        guest.write(wire.dump(wire.Cell(2, "", comm=fields, timeout_s=0.2)))
        assert guest.rest()[-1].outcome == "timeout"


def test_values_are_made_json(tmp_path: Path) -> None:
    """What JSON has no word for is said as ipykernel says it."""
    code = """
import comm, datetime, decimal, fractions
comm.create_comm(data={'state': {'nan': float('nan'), 'set': {1}, 'tuple': (1, 2), 'bytes': b'a', 3: fractions.Fraction(1, 2),
    'date': datetime.date(2026, 1, 2), 'bad': '\\ud800', 'none': None, 'yes': True, 'text': 'a'}}).close()
"""
    [opened, _] = run(tmp_path, code).of(wire.Comm)
    assert opened.data["state"] == {
        "nan": "nan",
        "set": [1],
        "tuple": [1, 2],
        "bytes": "YQ==",
        "3": 0.5,
        "date": "2026-01-02",
        "bad": "\\ud800",
        "none": None,
        "yes": True,
        "text": "a",
    }


def test_a_word_that_is_too_large_is_not_sent(tmp_path: Path) -> None:
    """A widget's state of many megabytes is left out, and told of; the cell goes on."""
    said = run(tmp_path, "import comm\ncomm.create_comm(data={'state': 'x' * 9 * 2**20})\nprint('on')", output_bytes=2**25)
    assert [event.kind for event in said.of(wire.Comm)] in ([], ["close"])
    assert (said.out, said.err) == ("on\n", "A widget's message of 9 MiB is too large to be shown.\n")


def test_a_module_of_the_users_with_that_name(tmp_path: Path) -> None:
    """A file comm.py of the user's is theirs alone."""
    files = {"comm.py": base64.b64encode(b"create_comm = 5").decode()}
    assert (
        run(tmp_path, "import comm; print(comm.create_comm, hasattr(comm, 'get_comm_manager'))", files=files).out
        == "5 False\n"
    )


def test_a_forked_child_says_nothing_of_widgets(tmp_path: Path) -> None:
    """The widgets of a process are not those of its children."""
    code = OPEN + "import os\nif os.fork() == 0:\n    made.send({'a': 1}); made.close(); os._exit(0)\nos.wait()"
    assert [event.kind for event in run(tmp_path, code).of(wire.Comm)] == ["open"]


def test_many_updates_are_few_events(tmp_path: Path) -> None:
    """A bar that is moved very often says its last value, and speaks seldom; text and updates keep their order."""
    code = """
import comm
made = comm.create_comm(target_name='jupyter.widget', comm_id='a1')
def move(value):
    made.send({'method': 'update', 'state': {'value': value}, 'buffer_paths': []})
for value in range(3000):
    move(value)
print('between')
move('last')
"""
    said = run(tmp_path, code)
    updates = [event for event in said if isinstance(event, wire.Comm) and event.kind == "msg"]
    assert 2 <= len(updates) < 1500  # each in its own event would be 3001
    values = [event.data["state"]["value"] for event in updates]
    assert values[-2:] == [2999, "last"] and values[:-1] == sorted(values[:-1])
    assert said.index(updates[-2]) < said.index(wire.Stream("stdout", "between\n")) < said.index(updates[-1])


def test_updates_are_merged() -> None:
    """Properties of one widget become one update, the newest value of each; other words are sent as they are."""
    waiting = Updates()
    update = {"method": "update", "state": {"a": 1}, "buffer_paths": []}
    for name, state in (("x", {"a": 1}), ("y", {"a": 2}), ("x", {"b": 3}), ("x", {"a": 4})):
        assert waiting.add(wire.Comm("msg", name, data={**update, "state": state}))
    assert waiting
    assert [(event.id, event.data["state"]) for event in waiting.take()] == [("x", {"a": 4, "b": 3}), ("y", {"a": 2})]
    assert not waiting and not waiting.take()
    for event in (
        wire.Comm("open", "x", data=update),
        wire.Comm("close", "x"),
        wire.Comm("msg", "x", data=update, buffers=["YQ=="]),
        wire.Comm("msg", "x", data={**update, "method": "echo_update"}),
        wire.Comm("msg", "x", data={**update, "state": None}),
        wire.Display({}),
    ):
        assert not waiting.add(event)


def test_an_update_that_waits_is_sent_before_what_follows() -> None:
    """Nothing overtakes an update: not a display, not the end of the cell."""
    emitted: list[wire.Event] = []
    pump = output.Pump(lambda event, _: emitted.append(event))
    pump.begin(10_000)
    pump._flushed = float("inf")  # so that all wait
    update = wire.Comm("msg", "x", data={"method": "update", "state": {"a": 1}})
    for event in (update, wire.Display({}), update, wire.Comm("close", "x"), update):
        pump.show(event)
    pump.end(last=False)
    assert emitted == [update, wire.Display({}), update, wire.Comm("close", "x"), update]


def test_tqdm_takes_this_for_a_notebook_only_while_it_asks(tmp_path: Path) -> None:
    """`tqdm.auto` draws widgets when IPython's shell is there, else text; no module that stands for another is left."""
    pytest.importorskip("tqdm")
    look = "from tqdm.auto import tqdm\nimport sys\nprint(tqdm.__mro__[1].__module__, 'ipykernel.zmqshell' in sys.modules)"
    shell = "import IPython\nif IPython.get_ipython() is None:\n    IPython.get_ipython = lambda: type('Shell', (), {})()\n"
    env = {"PYTHONWARNINGS": "ignore"}
    assert run(tmp_path, shell + look, sys.executable, env).out.strip() == "tqdm.notebook False"
    assert "tqdm.notebook" not in run(tmp_path, look, sys.executable, env).out
