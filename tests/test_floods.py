"""More output than anybody reads, through a real kernel: memory is bounded, order is kept, what is cut is said once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_kernel import Message, Notebook

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore:Kernel is running over TCP")

MIB = 2**20
#: By this much the kernel's process may grow, at its peak: a cell's 8 MiB of output in the forms it takes on its way.
GROWTH_MIB = 160
LIMIT = "[Output over 8 MiB is left out. Runner.output_mib sets the limit.]"


@pytest.fixture
def notebook(kernel_name: str) -> Iterator[Notebook]:
    """A kernel that has run a cell."""
    made = Notebook(kernel_name)
    made.run("print('up')")
    yield made
    made.close()


def peak_mib(notebook: Notebook) -> float:
    """Return the most memory that the kernel's process has had."""
    status = Path(f"/proc/{notebook.manager.provisioner.process.pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def run(notebook: Notebook, code: str) -> list[Message]:
    """Run a cell that floods, and a cell after it; return the first one's messages. The kernel's memory stays bounded."""
    before = peak_mib(notebook)
    messages, reply = notebook.run(code)
    assert reply["status"] == "ok"
    assert notebook.run("print('still here')") == (
        [("stream", {"name": "stdout", "text": "still here\n"})],
        {**reply, "execution_count": reply["execution_count"] + 1},
    )
    assert peak_mib(notebook) - before < GROWTH_MIB
    return messages


def stream(messages: list[Message], name: str) -> str:
    """Return what was written to one stream."""
    return "".join(content["text"] for kind, content in messages if kind == "stream" and content["name"] == name)


def test_fifty_megabytes_are_cut_once(notebook: Notebook) -> None:
    """Of 50 MB the first 8 MiB are shown, in order and whole, and one sentence says that there was more."""
    messages = run(notebook, "for n in range(50_000):\n    print(f'{n:09}', 'x' * 990)")
    lines = stream(messages, "stdout").splitlines()
    assert 8000 < len(lines) < 8500
    assert lines[:-1] == [f"{n:09} {'x' * 990}" for n in range(len(lines) - 1)]
    assert stream(messages, "stderr").strip() == LIMIT
    assert {kind for kind, _ in messages} == {"stream"}


def test_a_hundred_thousand_prints_are_all_there(notebook: Notebook) -> None:
    """100,000 small prints are shown, each, in their order, in few messages."""
    count = 0

    def take(message: dict[str, Any]) -> None:
        nonlocal count
        count += message["msg_type"] == "stream"

    messages = run(notebook, "for n in range(100_000):\n    print(n)")
    assert messages == [("stream", {"name": "stdout", "text": "".join(f"{n}\n" for n in range(100_000))})]
    notebook.client.execute_interactive("for n in range(100_000):\n    print(n)", output_hook=take, timeout=90)
    assert count < 5000


def test_prints_to_both_streams_keep_their_order(notebook: Notebook) -> None:
    """Prints that change between stdout and stderr come in the order they were made."""
    code = "import sys\nfor n in range(300):\n    print(n, file=sys.stderr if n % 2 else sys.stdout)"
    messages = run(notebook, code)
    assert "".join(content["text"] for _, content in messages) == "".join(f"{n}\n" for n in range(300))
    assert stream(messages, "stderr") == "".join(f"{n}\n" for n in range(1, 300, 2))


def test_a_large_image_is_shown(notebook: Notebook) -> None:
    """An image of 5 MB comes whole."""
    code = """
        import base64, os
        class Image:
            def _repr_png_(self):
                return b"\\x89PNG" + bytes(5_000_000)
        display(Image())
        print("after")
    """
    messages = run(notebook, "if True:" + code)
    assert [kind for kind, _ in messages] == ["display_data", "stream"]
    assert len(messages[0][1]["data"]["image/png"]) == -(-5_000_004 // 3) * 4


def test_an_image_over_the_limit_is_left_out_and_said(notebook: Notebook) -> None:
    """An image that is larger than all output may be is not shown, and one sentence says so."""
    code = """
        class Image:
            def __init__(self, size):
                self.size = size
            def __repr__(self):
                return "image"
            def _repr_png_(self):
                return bytes(self.size)
        display(Image(30_000_000))
        for n in range(3):
            display(Image(9_000_000))
    """
    messages = run(notebook, "if True:" + code)
    assert messages[0][1]["data"] == {"text/plain": "image\n(38 MiB, too much to show)"}
    assert [(kind, content["text"].strip()) for kind, content in messages[1:]] == [("stream", LIMIT)]


def test_bytes_that_are_no_text_are_replaced(notebook: Notebook) -> None:
    """Invalid UTF-8, also cut within a character and a megabyte of it, is shown with a mark in its place."""
    code = r"""
        import os
        os.write(1, b"a\xff\xfeb\xc3")
        os.write(1, b"(\xed\xa0\x80\n\xe2\x82")
        os.write(1, b"\xac\n")
    """
    text = stream(run(notebook, "if True:" + code), "stdout")
    assert text.replace("\ufffd", "") == "ab(\n\u20ac\n"
    assert text.startswith("a\ufffd\ufffdb\ufffd(")
    text = stream(run(notebook, r"import os; [os.write(1, b'\xff' * 1024) for _ in range(1024)]; print('z')"), "stdout")
    assert text == "\ufffd" * MIB + "z\n"


def test_a_line_of_a_megabyte_is_whole(notebook: Notebook) -> None:
    """A line of 1 MB, of one or four bytes each character, and one that is redrawn in place, come as they were written."""
    assert stream(run(notebook, "print('x' * 2**20)"), "stdout") == "x" * MIB + "\n"
    assert stream(run(notebook, "print('\\U0001f600' * 2**18)"), "stdout") == "\U0001f600" * (MIB // 4) + "\n"
    redrawn = "for n in range(20_000):\n    print(f'\\r{n}', end='')"
    assert stream(run(notebook, redrawn), "stdout") == "".join(f"\r{n}" for n in range(20_000))


def test_a_flood_of_displays_ends(notebook: Notebook) -> None:
    """Displays and updates by the thousand are shown in their order, and the cell ends."""
    code = """
        handle = display(-1, display_id=True)
        for n in range(500):
            handle.update(n)
    """
    messages = run(notebook, "if True:" + code)
    texts = [content["data"]["text/plain"] for _, content in messages]
    assert texts == [str(n) for n in range(-1, 500)]


def test_the_error_after_a_flood_is_told(notebook: Notebook) -> None:
    """What ended the cell is told though its output had reached the limit."""
    messages, reply = notebook.run("print('x' * 20_000_000)\n1/0")
    assert reply["ename"] == "ZeroDivisionError"
    assert [kind for kind, _ in messages] == ["stream", "stream", "error"]
    assert stream(messages, "stderr").strip() == LIMIT
