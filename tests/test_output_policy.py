"""The settings of what is shown, from the command line to the front end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import add_options
from test_kernel import Notebook

from sandbox_kernel import policy
from sandbox_kernel.output_policy import OutputPolicy
from sandbox_kernel.settings import from_options

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore:Kernel is running over TCP")

VEGA = "application/vnd.vegalite.v5+json"
CODE = f"""
class Shown:
    def __repr__(self):
        return "shown"
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {{"text/html": "<b onclick=alert(1)>b</b><script>alert(1)</script>", "{VEGA}": {{"a": 1}}}}
Shown()
"""


def test_the_default_is_sanitized() -> None:
    """Nobody has to set anything to be safe."""
    assert OutputPolicy().policy() == policy.Policy("sanitized", frozenset()) == policy.Policy()


@pytest.mark.parametrize("options", ["local"], indirect=True)
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], {"text/html": "<b>b</b>"}),
        (["--OutputPolicy.html=text", f"--OutputPolicy.extra_mime_types={VEGA}"], {VEGA: {"a": 1}}),
        (
            ["--OutputPolicy.html=trusted"],
            {"text/html": "<b onclick=alert(1)>b</b><script>alert(1)</script>", VEGA: {"a": 1}},
        ),
    ],
    ids=["default", "text", "trusted"],
)
def test_a_kernel_shows_what_its_settings_let_through(
    kernel_name: str, tmp_path: Path, more: list[str], expected: dict[str, Any]
) -> None:
    """The setting in a kernelspec decides what becomes of the HTML of a cell."""
    from_options(more)
    add_options(kernel_name, tmp_path, *more)
    notebook = Notebook(kernel_name)
    try:
        messages, _ = notebook.run(CODE)
        content = {"execution_count": 1, "data": {"text/plain": "shown", **expected}, "metadata": {}}
        assert messages == [("execute_result", content)]
    finally:
        notebook.close()
