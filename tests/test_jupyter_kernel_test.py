"""Jupyter's own conformance tests of a kernel's messages, with nothing left out, on every backend and kind of image.

The suite is a unittest class whose tests share a kernel. What it takes from a clock it is not given here: on a busy machine
the next message may take more than its tenth of a second.
"""

# ruff: noqa: RUF012 - class attributes are how the suite is told
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import jupyter_kernel_test
import pytest
from conftest import IMAGE, TestCluster, install_kernel, jupyter_path, kernel_manager, local_leftovers, wait_until
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore:Kernel is running over TCP")

NOTEBOOK_IMAGE = os.environ.get("SANDBOX_KERNEL_TEST_NOTEBOOK_IMAGE", "sandbox-notebook")
PATIENCE_S = 90.0


@pytest.fixture(scope="class", autouse=True)
def nothing_left_here(home_of_sandboxes: Path) -> Iterator[None]:
    """When the kernel of a class has ended, nothing of it is left here. Not after each test: they share it."""
    yield
    wait_until(lambda: not local_leftovers(home_of_sandboxes), lambda: f"gone: {local_leftovers(home_of_sandboxes)}", 20)


class OnItsKernel:
    """Has the kernel of the class's backend in ``km``, and a client in ``kc``, instead of those that the suite makes."""

    km: KernelManager
    kc: BlockingKernelClient
    image: ClassVar[str | None] = None
    #: A client that has not connected is one that can be welcomed.
    connected: ClassVar[bool] = True

    @classmethod
    def setUpClass(cls) -> None:
        """Leave it to the fixture."""

    @classmethod
    def tearDownClass(cls) -> None:
        """Leave it to the fixture."""


@pytest.fixture(scope="class", autouse=True)
def kernel(
    nothing_left_here: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Install and start the kernel of a class; afterwards end it, and see that nothing of it is left on the cluster."""
    made: type[OnItsKernel] | None = request.cls
    if made is None:
        yield
        return
    cluster: TestCluster | None = None
    if made.image is None:
        request.getfixturevalue("gvisor")
        options = ["--Runner.backend_name=local"]
    else:
        cluster = request.getfixturevalue("cluster_session")
        options = cluster.options(made.image)
    prefix = tmp_path_factory.mktemp("kernels")
    name = install_kernel(options, prefix)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", jupyter_path(prefix))
        patch.setenv("JUPYTER_CONFIG_DIR", str(prefix))
        patch.setenv("JUPYTER_NO_CONFIG", "1")
        made.km = kernel_manager(name)
        made.km.start_kernel(stderr=-3)
    made.kc = made.km.client()
    try:
        if made.connected:
            made.kc.start_channels()
            made.kc.wait_for_ready(timeout=PATIENCE_S)
        yield
    finally:
        made.kc.stop_channels()
        made.km.shutdown_kernel()
        ensure_event_loop().close()  # jupyter_client's blocking calls leave theirs open
    if cluster is not None:
        wait_until(lambda: not cluster.objects(), "no Job, pod or ConfigMap left")


class Conformance(OnItsKernel):
    """Every optional attribute of the suite: a test without its attribute would be skipped."""

    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('oh', file=sys.stderr)"
    completion_samples = [
        {"text": "zi", "matches": ["zip"]},
        {"text": "import sys; sys.getrecursion"},
    ]
    complete_code_samples = [
        "1",
        "print('hello, world')",
        "def f(x):\n    return x\n\n",
        "%time 1",
        "for i in 1, 2: pass\n\n",
    ]
    incomplete_code_samples = ["print('''hello", "def f(x):", "def f(x):\n    return x", "(1 +", "%%bash\necho"]
    invalid_code_samples = ["import = 7q", "1 +* 2", "def f(x)\n"]
    code_page_something = "zip?"
    code_generate_error = "1/0"
    code_execute_result = [
        {"code": "6*7", "result": "42"},
        {"code": "'bee' * 2", "result": "'beebee'"},
        {"code": "[1, {2: None}]", "result": "[1, {2: None}]"},
    ]
    code_display_data = [
        {"code": "display({'a': 1})", "mime": "text/plain"},
        {"code": "from IPython.display import HTML, display; display(HTML('<b>bee</b>'))", "mime": "text/html"},
        {"code": "from IPython.display import Markdown, display; display(Markdown('*bee*'))", "mime": "text/plain"},
    ]
    supported_history_operations = ("tail", "range", "search")
    code_history_pattern = "6?7"
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"

    def execute_helper(self, code: str, timeout: float = PATIENCE_S, **options: Any) -> Any:
        """As in the suite, but for its clock."""
        channel = self.kc.iopub_channel
        get = jupyter_kernel_test.ensure_sync(channel.get_msg)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(channel, "get_msg", lambda timeout: get(timeout=PATIENCE_S))
            return super().execute_helper(code, timeout=timeout, **options)


@pytest.mark.xdist_group("conformance")
class TestLocal(Conformance, jupyter_kernel_test.KernelTests):
    """The local kernel, with IPython."""


@pytest.mark.cluster
@pytest.mark.xdist_group("conformance-kubernetes")
class TestKubernetes(Conformance, jupyter_kernel_test.KernelTests):
    """A Job for each cell, with IPython in the image."""

    image = NOTEBOOK_IMAGE


@pytest.mark.cluster
@pytest.mark.xdist_group("conformance-bare")
class TestKubernetesBare(Conformance, jupyter_kernel_test.KernelTests):
    """A Job for each cell, with nothing but Python in the image: what comes from IPython.display is built in."""

    image = IMAGE
    code_display_data = [
        {"code": "display({'a': 1})", "mime": "text/plain"},
        {"code": "class Bee:\n    _repr_html_ = lambda self: '<b>bee</b>'\ndisplay(Bee())", "mime": "text/html"},
    ]
    code_clear_output = "clear_output()"


class TestWelcome(OnItsKernel, jupyter_kernel_test.IopubWelcomeTests):
    """Whoever subscribes to a kernel's output is told so."""

    connected = False
    support_iopub_welcome = True


def test_nothing_of_the_suite_is_skipped() -> None:
    """Every attribute that the suite has, empty by default, is filled in."""
    names = [
        name for name, value in vars(jupyter_kernel_test.KernelTests).items() if value in ("", [], ()) and name[0] != "_"
    ]
    assert len(names) >= 16
    assert [name for name in names if not getattr(TestLocal, name)] == []
