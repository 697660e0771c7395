"""The kernel as a person sees it: JupyterLab in a browser, a notebook, and what one does in it all day.

All steps are made in one notebook, each with names of its own, so that any of them can run alone. The pictures that CI keeps
are in :data:`lab.ARTIFACTS`. With ``SANDBOX_KERNEL_BROWSER_KERNEL="Python 3 (ipykernel)"`` the same steps judge ipykernel:
that is how to tell a wrong test from a wrong kernel.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hostile
import lab as jupyterlab
import pytest
from conftest import TestCluster, install_kernel, jupyter_path, local_leftovers, wait_until
from lab import CHROMIUM, Lab, Notebook
from playwright.sync_api import expect

from sandbox_kernel import runtime

pytestmark = [
    pytest.mark.xdist_group("jupyterlab"),
    pytest.mark.skipif(CHROMIUM is None, reason="no browser: as root, apt-get install chromium"),
]

LOCAL = os.environ.get("SANDBOX_KERNEL_BROWSER_KERNEL", "Python (sandbox, local)")
ON_CLUSTER = "Python (sandbox, Kubernetes)"
IPYKERNEL = "Python 3 (ipykernel)"
#: What has pandas and matplotlib.
NOTEBOOK_IMAGE = os.environ.get("SANDBOX_KERNEL_TEST_NOTEBOOK_IMAGE", "sandbox-notebook")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the kernels are installed."""
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(scope="module", autouse=True)
def nothing_left_here(home_of_sandboxes: Path) -> Iterator[None]:
    """When the server has ended nothing of a sandbox is left. Not after each test: the kernel lives on in the notebook."""
    yield
    wait_until(lambda: not local_leftovers(home_of_sandboxes), lambda: f"gone: {local_leftovers(home_of_sandboxes)}", 20)


@pytest.fixture(scope="module")
def lab(
    nothing_left_here: None, gvisor: runtime.Runtime, prefix: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """A JupyterLab with the local kernel, in a browser."""
    install_kernel(["--Runner.backend_name=local"], prefix)
    with jupyterlab.open_lab(tmp_path_factory.mktemp("lab"), jupyter_path(prefix)) as opened:
        yield opened


@pytest.fixture(scope="module")
def notebooks(lab: Lab) -> list[Notebook]:
    """The notebook that the steps share, the last one first: a step that left its cell running leaves the next a new one."""
    return []


@pytest.fixture
def notebook(lab: Lab, notebooks: list[Notebook], request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """A notebook with the local kernel, opened from the launcher, and a picture of it after the step."""
    if not (notebooks and notebooks[0].is_idle()):
        for old in notebooks:
            lab.close(old)
        notebooks[:] = [lab.open(LOCAL)]
    yield notebooks[0]
    notebooks[0].picture(request.node.name)


# -- the steps, on any backend -----------------------------------------------------------------------------------------


def see_a_plot(notebook: Notebook) -> None:
    cell = notebook.run("import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);")
    image = cell.output.locator("img")
    expect(image).to_have_count(1)
    assert image.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 100


def see_a_table(notebook: Notebook) -> None:
    cell = notebook.run("import pandas\npandas.DataFrame({'bees': [30, 40]}, index=['hive', 'tree'])")
    table = cell.output.locator("table")
    expect(table).to_be_visible()
    assert table.locator("th").all_inner_texts() == ["", "bees", "hive", "tree"]
    assert table.locator("td").all_inner_texts() == ["30", "40"]
    expect(cell.output.locator(".jp-OutputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))


def see_a_traceback(notebook: Notebook) -> None:
    cell = notebook.run("def sting(bees):\n    return 1 / bees\nsting(0)")
    error = cell.output.locator('[data-mime-type="application/vnd.jupyter.stderr"], [data-mime-type*="error"]')
    expect(error).to_contain_text("ZeroDivisionError: division by zero")
    expect(error).to_contain_text("return 1 / bees")
    expect(error.locator("[class*=ansi-]").first).to_be_visible()
    assert "\x1b" not in cell.text()
    assert "[0m" not in cell.text()


def answer_a_question(notebook: Notebook) -> None:
    cell = notebook.start("name = input('Who is it? ')\nprint('hello', name)")
    box = cell.output.locator("input.jp-Stdin-input")
    expect(cell.output.locator(".jp-Stdin-prompt")).to_contain_text("Who is it?")
    box.fill("Maya")
    notebook.picture("input")
    box.press("Enter")
    cell.wait_until_done()
    assert "hello Maya" in cell.text()


def stop_a_loop(notebook: Notebook) -> None:
    notebook.run("honey = 1")
    cell = notebook.start("wax = honey + 1\nprint('round and round')\nwhile True:\n    honey += 1")
    expect(cell.output).to_contain_text("round and round")
    expect(cell.prompt).to_have_text("[*]:")
    notebook.press("notebook:interrupt-kernel")
    cell.wait_until_done()
    expect(cell.output).to_contain_text("KeyboardInterrupt")
    after = notebook.run("print('wax', wax, 'honey', honey > 1)")
    assert after.text().strip() == "wax 2 honey True"


# -- local -------------------------------------------------------------------------------------------------------------


def test_the_launcher_opens_a_notebook_that_runs_cells(notebook: Notebook) -> None:
    """A notebook opened by the kernel's card in the launcher prints what a cell prints and shows its value."""
    cell = notebook.run("print('out')\n6 * 7")
    assert cell.text().split() == ["out", "42"]
    assert cell.place.locator(".jp-OutputPrompt").all_inner_texts()[-1] == cell.prompt.inner_text()


def test_a_plot_is_an_image(notebook: Notebook) -> None:
    """A figure of matplotlib is an image below its cell."""
    see_a_plot(notebook)


def test_a_dataframe_is_a_table(notebook: Notebook) -> None:
    """A DataFrame is a table with its names, not text."""
    see_a_table(notebook)


def test_a_traceback_is_coloured(notebook: Notebook) -> None:
    """A traceback names the line, in colours, and shows no bare escape sequence."""
    see_a_traceback(notebook)


def test_a_progress_bar_is_one_line(notebook: Notebook) -> None:
    """The bar of tqdm is drawn over itself: one line, at its end."""
    cell = notebook.run("from tqdm import tqdm\nfor _ in tqdm(range(30), desc='nectar', mininterval=0):\n    pass")
    lines = [line for line in cell.text().splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert lines[0].startswith("nectar: 100%")
    assert "30/30" in lines[0]


def test_a_question_is_answered_in_its_box(notebook: Notebook) -> None:
    """input() shows a box below the cell; what is typed there arrives."""
    answer_a_question(notebook)


def test_a_password_is_not_shown(notebook: Notebook) -> None:
    """getpass() shows a box that hides what is typed, and it arrives."""
    cell = notebook.start("import getpass\nsecret = getpass.getpass('Secret? ')\nprint(len(secret))")
    box = cell.output.locator("input.jp-Stdin-input")
    expect(box).to_have_attribute("type", "password")
    box.fill("propolis")
    box.press("Enter")
    cell.wait_until_done()
    assert "8" in cell.text()
    assert "propolis" not in cell.text()


def test_a_slider_drives_its_function(notebook: Notebook) -> None:
    """The slider of ipywidgets' interact appears, and the arrow keys on it change what the function prints."""
    cell = notebook.run(
        "from ipywidgets import interact\n@interact(bees=(0, 10))\ndef show(bees=5):\n    print('bees:', bees * 100)"
    )
    expect(cell.output).to_contain_text("bees: 500")
    handle = cell.output.locator(".widget-slider .noUi-handle")
    handle.focus()
    notebook.page.keyboard.press("ArrowRight")
    expect(cell.output).to_contain_text("bees: 600")
    expect(cell.output).not_to_contain_text("bees: 500")
    assert notebook.run("print(1)").text().strip() == "1"  # the kernel goes on


def test_tab_completes_what_a_variable_has(notebook: Notebook) -> None:
    """Tab behind a variable's dot lists its members, and Enter takes one."""
    notebook.run("import datetime\nhoneycomb = datetime.date(2020, 2, 29)")
    cell = notebook.complete("honeycomb.iso")
    completer = notebook.page.locator(".jp-Completer:not(.lm-mod-hidden)")
    expect(completer.locator(".jp-Completer-item").first).to_be_visible()
    notebook.picture("completion")
    shown = completer.locator(".jp-Completer-item .jp-Completer-match").all_inner_texts()
    assert {"isocalendar", "isoformat", "isoweekday"} <= {name.rsplit(".", 1)[-1].rstrip("()") for name in shown}
    notebook.page.keyboard.press("Enter")
    expect(cell.place.locator(".cm-content")).to_have_text("honeycomb.isocalendar")
    notebook.write("")


def test_tab_completes_paths(notebook: Notebook) -> None:
    """Tab within a string lists the files of the sandbox's working directory, and Enter takes one."""
    notebook.run("import os; os.makedirs('meadow/bee'); open('meadow.csv', 'w').close()")
    items = notebook.page.locator(".jp-Completer:not(.lm-mod-hidden) .jp-Completer-item")
    for _ in range(10):  # JupyterLab waits a second; on a busy machine the sandbox is restored a little later.
        cell = notebook.complete("os.path.exists('mead")
        with suppress(AssertionError):
            expect(items).to_have_count(2, timeout=3000)
            break
    texts = items.all_inner_texts()
    assert [sum(name in text for text in texts) for name in ("meadow.csv", "meadow/")] == [1, 1]
    notebook.page.keyboard.press("Enter")
    expect(cell.place.locator(".cm-content")).to_contain_text("'meadow")
    notebook.write("")


def test_tab_completes_names(notebook: Notebook) -> None:
    """Tab behind the beginning of a name that a cell has made, also by a way that its text does not show, offers it."""
    notebook.run("globals()['prop' + 'olis'] = 1")
    notebook.complete("prop")
    match = notebook.page.locator(".jp-Completer:not(.lm-mod-hidden) .jp-Completer-match")
    written = notebook.cells.last.locator(".cm-content")
    expect(match.filter(has_text="propolis").or_(written.filter(has_text="propolis")).first).to_be_visible()
    notebook.page.keyboard.press("Escape")
    notebook.write("")


def test_shift_tab_shows_what_a_function_does(notebook: Notebook) -> None:
    """Shift-Tab on a function shows its signature and its docstring."""
    notebook.run('def forage(meadow: str, bees=7):\n    """Send bees to a meadow."""')
    notebook.write("forage(")
    notebook.page.keyboard.press("Shift+Tab")
    tooltip = notebook.page.locator(".jp-Tooltip")
    expect(tooltip).to_contain_text("Send bees to a meadow.")
    expect(tooltip).to_contain_text(re.compile(r"forage\(meadow\b.*bees.*=.*7"))
    notebook.picture("inspection")
    notebook.page.keyboard.press("Escape")
    expect(tooltip).to_have_count(0)
    notebook.write("")


def test_the_stop_button_keeps_the_variables(notebook: Notebook) -> None:
    """The stop button ends a loop; what it and the cells before it made is still there."""
    stop_a_loop(notebook)


def test_a_restart_forgets(notebook: Notebook) -> None:
    """After a restart the count begins anew and the variables are gone."""
    notebook.run("larva = 1")
    notebook.press("notebook:restart-kernel")
    notebook.page.locator(".jp-Dialog button.jp-mod-accept").click()
    expect(notebook.page.locator(".jp-Dialog")).to_have_count(0)
    cell = notebook.run("larva")
    assert "NameError" in cell.text()
    assert cell.prompt.inner_text() == "[1]:"


# -- on a cluster ------------------------------------------------------------------------------------------------------


@pytest.mark.cluster
def test_the_same_on_a_cluster(lab: Lab, prefix: Path, cluster: TestCluster) -> None:
    """With a Job for each cell: plot, table, traceback, question, and the stop button with the variables kept."""
    install_kernel(cluster.options(NOTEBOOK_IMAGE), prefix)
    notebook = lab.open(ON_CLUSTER)
    try:
        for step in (see_a_plot, see_a_table, see_a_traceback, answer_a_question, stop_a_loop):
            step(notebook)
    finally:
        notebook.picture("on_a_cluster")
        lab.close(notebook)


# -- hostile -----------------------------------------------------------------------------------------------------------


def test_hostile_output_reaches_no_server(lab: Lab, notebook: Notebook) -> None:
    """Whatever a cell shows and a person clicks on in it, nobody is asked for anything and no dialog opens."""
    assert hostile.reach(lab, notebook) == {}
    assert lab.dialogs == []
    assert notebook.run("print('still here')").text().strip() == "still here"
    assert hostile.MARK not in lab.server.log.read_text(encoding="utf-8", errors="replace")
    assert lab.strangers() == []


def test_the_hostile_outputs_are_hostile(lab: Lab) -> None:
    """With ipykernel, whose output JupyterLab trusts, the same cells reach the server: attacks and waiting are real."""
    notebook = lab.open(IPYKERNEL)
    try:
        reached = hostile.reach(lab, notebook, hostile.WORKS_WITH_IPYKERNEL)
        assert reached.keys() == hostile.WORKS_WITH_IPYKERNEL
    finally:
        lab.dialogs.clear()
        lab.close(notebook)
