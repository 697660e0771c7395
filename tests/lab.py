"""A JupyterLab of the tests' own, and a notebook in it as a person at the keyboard sees it.

The server has its configuration, data and notebooks in a directory of the test's, listens on 127.0.0.1 and talks to nobody
else. The browser is Debian's Chromium with a new profile, driven by Playwright. Whatever is waited for is a condition in
the page; the only clock is :data:`PATIENCE_MS`, after which a test fails.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from conftest import REPOSITORY, wait_until
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Locator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)
from playwright.sync_api import (
    Error as BrowserError,
)

CHROMIUM = shutil.which("chromium")
#: Screenshots, and the server's log.
ARTIFACTS = Path(os.environ.get("SANDBOX_KERNEL_ARTIFACTS") or REPOSITORY / "build" / "screenshots")
PATIENCE_MS = 60_000
#: What Chromium does of its own accord and a test does not need. A container has neither a user namespace nor a GPU for it.
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
#: Settings of JupyterLab by plugin: it asks nobody for news, has all cells in the page, saves nothing by the clock, and waits
#: for completions on a busy machine.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "notebook-extension/tracker": {"windowingMode": "none"},
    "docmanager-extension/plugin": {"autosave": False},
    "completer-extension/manager": {"providerTimeout": PATIENCE_MS},
}


class Server:
    """A running JupyterLab.

    Attributes:
        url: Its address, which ends in a slash.
        token: Lets in who has it.
        log: The file it writes to; there is a line in it for every request.
    """

    def __init__(self, folder: Path, jupyter_path: str) -> None:
        self.token = secrets.token_hex(16)
        self.log = folder / "server.log"
        self._folder = folder
        notebooks = folder / "notebooks"
        notebooks.mkdir()
        for plugin, values in SETTINGS.items():
            path = folder / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), encoding="utf-8")
        places = ("config", "data", "runtime", "settings", "workspaces")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY"))},
            **{f"JUPYTER_{name.upper()}_DIR": str(folder / name) for name in places[:3]},
            **{f"JUPYTERLAB_{name.upper()}_DIR": str(folder / name) for name in places[3:]},
            "IPYTHONDIR": str(folder / "ipython"),
            "JUPYTER_PATH": jupyter_path,
            "JUPYTER_NO_CONFIG": "1",
            "JUPYTER_TOKEN": self.token,
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                    *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.root_dir={notebooks}"),
                    *("--ServerApp.terminals_enabled=False", "--ServerApp.log_level=DEBUG"),
                    *("--LabApp.extension_manager=readonly", "--LabApp.news_url=", "--LabApp.check_for_updates_class="),
                    *("--KernelManager.transport=ipc",),  # no race for ports
                ],
                cwd=notebooks,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._is_up, lambda: self.log.read_text(encoding="utf-8", errors="replace")[-3000:])
        self.url = self._address()

    def _address(self) -> str:
        (path,) = self._folder.glob("runtime/jpserver-*.json")
        return str(json.loads(path.read_text(encoding="utf-8"))["url"])

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        try:
            return bool(self._address())
        except ValueError:
            return False

    def close(self) -> None:
        """End it and its kernels in order."""
        self._process.terminate()
        self._process.wait(30)


class Cell:
    """A code cell that has been started."""

    def __init__(self, place: Locator) -> None:
        self.place = place
        self.output = place.locator(".jp-Cell-outputArea")
        self.prompt = place.locator(".jp-InputPrompt")

    def wait_until_done(self) -> Cell:
        """Return when its prompt has a number."""
        expect(self.prompt).to_have_text(re.compile(r"\[\d+\]:"))
        return self

    def text(self) -> str:
        """Return what it shows, as it is seen."""
        return "\n".join(self.output.locator(".jp-OutputArea-output").all_inner_texts())


class Notebook:
    """A notebook in a page of its own. Its last cell is an empty one."""

    def __init__(self, page: Page, kernel: str) -> None:
        self.page = page
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.cells = self.panel.locator(".jp-Notebook-cell")
        self.kernels: set[str] = set()
        self.status = page.locator("#jp-bottom-panel").get_by_text(re.compile(rf"^{re.escape(kernel)} \| "))

    def write(self, code: str) -> Cell:
        """Put ``code`` into the last cell, with the cursor behind it."""
        cell = self.cells.last
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(code)
        return Cell(cell)

    def complete(self, code: str) -> Cell:
        """Put ``code`` into the last cell and press Tab behind it."""
        cell = self.write(code)
        expect(cell.place.locator(".jp-mod-completer-enabled")).to_have_count(1)  # Until then Tab indents.
        self.page.keyboard.press("Tab")
        return cell

    def start(self, code: str) -> Cell:
        """Run ``code`` in the last cell, and return when there is a new last one behind it."""
        count = self.cells.count()
        self.write(code)
        self.page.keyboard.press("Shift+Enter")
        expect(self.cells).to_have_count(count + 1)
        return Cell(self.cells.nth(count - 1))

    def run(self, code: str) -> Cell:
        """Run ``code`` in the last cell to its end."""
        return self.start(code).wait_until_done()

    def wait_until_idle(self) -> None:
        """Return when the kernel waits for work."""
        expect(self.status).to_have_text(re.compile(r"\| Idle$"))

    def is_idle(self) -> bool:
        """Tell whether the kernel waits for work, or will when it has answered what it was asked last."""
        with suppress(AssertionError):
            expect(self.status).to_have_text(re.compile(r"\| Idle$"), timeout=PATIENCE_MS / 12)
            return True
        return False

    def press(self, command: str) -> None:
        """Press a button of the toolbar by its command."""
        self.panel.locator(f'.jp-Toolbar [data-command="{command}"]').click()

    def picture(self, name: str) -> None:
        """Keep a picture of what a person would see now."""
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png")


class Lab:
    """JupyterLab in a browser.

    Attributes:
        server: The server behind it.
        requests: Every address that any page of it asked for, as ``METHOD URL``.
        dialogs: What the browser's own dialogs said: ``alert`` and the like.
    """

    def __init__(self, server: Server, browser: Browser) -> None:
        self.server = server
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.context: BrowserContext = browser.new_context(viewport={"width": 1200, "height": 900})
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.on("request", lambda request: self.requests.append(f"{request.method} {request.url}"))
        self.context.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(self, kernel: str) -> Notebook:
        """Open the launcher, as on the first visit, and a new notebook by the kernel's card in it."""
        before = self._kernels()
        page = self.context.new_page()
        # JupyterLab gives its theme a second and a half, and then says so over everything.
        complaint = page.get_by_role("dialog", name=re.compile("^Error Loading Theme"))
        page.add_locator_handler(complaint, lambda dialog: dialog.locator("button").first.click())
        page.goto(f"{self.server.url}lab?reset&token={self.server.token}")
        page.locator(f'.jp-LauncherCard[data-category="Notebook"][title="{kernel}"]').click()
        notebook = Notebook(page, kernel)
        notebook.wait_until_idle()
        notebook.kernels = self._kernels() - before
        expect(notebook.cells).to_have_count(1)
        self._show_toolbar(notebook)
        return notebook

    def _show_toolbar(self, notebook: Notebook) -> None:
        """Have JupyterLab lay out the toolbar anew, which on a busy machine it does before the panel has its width."""
        button = notebook.panel.locator('.jp-Toolbar [data-command="notebook:restart-kernel"]')
        for width in (1240, 1200) * 15:
            with suppress(BrowserError):
                button.wait_for(timeout=PATIENCE_MS / 30)
                return
            notebook.page.set_viewport_size({"width": width, "height": 900})
        expect(button).to_be_visible()

    def close(self, notebook: Notebook) -> None:
        """Close the page of a notebook and end its kernel."""
        notebook.page.close()
        for kernel in notebook.kernels:
            self.context.request.delete(f"{self.server.url}api/kernels/{kernel}", headers=self._allowed())

    def _kernels(self) -> set[str]:
        """Return the ids of the kernels that run."""
        answer = self.context.request.get(f"{self.server.url}api/kernels", headers=self._allowed())
        return {kernel["id"] for kernel in answer.json()}

    def _allowed(self) -> dict[str, str]:
        return {"Authorization": f"token {self.server.token}"}

    def strangers(self) -> list[str]:
        """Return the requests that went to anybody but the server."""
        home = urlsplit(self.server.url).netloc
        return [line for line in self.requests if urlsplit(line.split(" ", 1)[1]).netloc not in (home, "")]


@contextmanager
def open_lab(folder: Path, jupyter_path: str) -> Iterator[Lab]:
    """Start server and browser, and end both."""
    expect.set_options(timeout=PATIENCE_MS)
    server = Server(folder, jupyter_path)
    try:
        with sync_playwright() as playwright, _browser(playwright, folder) as browser:
            yield Lab(server, browser)
    finally:
        server.close()
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        shutil.copy(server.log, ARTIFACTS / "server.log")


@contextmanager
def _browser(playwright: Playwright, folder: Path) -> Iterator[Browser]:
    home = folder / "browser"
    home.mkdir()
    own = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")}
    environment = {**os.environ, **own}
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES, env=environment, headless=True)
    try:
        yield browser
    finally:
        browser.close()
