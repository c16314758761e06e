"""JupyterLab in a real browser, used as a person uses it: double clicks, keys, and waiting for what can be seen."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from build.cli.processes import end_tree

PATIENCE_S = 300.0  # for a loaded machine; nothing waits longer than it has to
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root in a container has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # a page that needs the internet fails here
)


def missing() -> str:
    """What this machine lacks for the browser, and the way to get it; empty where all is there."""
    packages = {"jupyterlab": "requirements-lab.txt", "selenium": "requirements-docs.txt"}
    lacking = [f"{name} (pip install -r {file})" for name, file in packages.items() if find_spec(name) is None]
    programs = {"chromium": CHROMIUM, "chromium-driver": DRIVER}
    return ", ".join(lacking + [f"{name} (apt-get install {name})" for name, path in programs.items() if path is None])


def until(seen: Callable[[], Any], what: str) -> Any:
    """The first true value of the condition; after the time limit an error that names the condition."""
    from selenium.common.exceptions import StaleElementReferenceException

    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if found := seen():
                return found
        except StaleElementReferenceException:
            pass  # the page was drawn anew while we looked
        time.sleep(0.1)
    raise TimeoutError(f"not seen within {PATIENCE_S:g} s: {what}")


@contextmanager
def served(project: Path, home: Path, *options: str) -> Iterator[str]:
    """The address, token and all, of the JupyterLab that the project's own build/lab.py starts on loopback."""
    home.mkdir(parents=True, exist_ok=True)
    settings = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    settings |= {
        "PYTHONPATH": str(project),
        "HOME": str(home),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    where = ["--ServerApp.ip=127.0.0.1", "--ServerApp.allow_root=True", "--no-browser"]
    command = [sys.executable, "-m", "build.lab", *where, *options]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=home, env=settings, stdout=log, stderr=log, start_new_session=True)
        try:
            yield until(lambda: _address(server, home), f"JupyterLab's address, see {home / 'server.log'}")
        finally:
            end_tree(server.pid)
            server.wait()


def _address(server: subprocess.Popen, home: Path) -> str:
    """The address that the server printed, or nothing yet."""
    if server.poll() is not None:
        raise RuntimeError(f"JupyterLab ended:\n{(home / 'server.log').read_text()[-3000:]}")
    note = home / f"runtime/jpserver-{server.pid}.json"  # build/lab.py has become the server
    text = note.read_text() if note.is_file() else ""
    known = json.loads(text) if text.endswith("}") else {}  # else it is still being written
    return f"{known['url']}?token={known['token']}" if known else ""


@contextmanager
def browser(width: int, height: int) -> Iterator[Any]:
    """Chromium with a window of this size, driven by selenium; it ends with the block."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--window-size={width},{height}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))  # named: nothing is downloaded
    try:
        driver.set_page_load_timeout(PATIENCE_S)
        yield driver
    finally:
        driver.quit()


class Notebook:
    """A percent script opened as a notebook, and what a person does with it."""

    def __init__(self, driver: Any, name: str):
        """Double click on the file's name in the file browser, and wait for the kernel."""
        self._driver, self.name = driver, name
        label = until(lambda: self._with_text(".jp-DirListing-itemText", name), f"{name} in the file browser")
        self._do().double_click(label).perform()
        until(lambda: self._with_text(".jp-KernelName", "Python 3"), "a kernel")
        until(lambda: self._all(".jp-Notebook-ExecutionIndicator[data-status='idle']"), "an idle kernel")

    def code_cells(self) -> list[Any]:
        """Its code cells in order."""
        return self._all(".jp-Notebook .jp-CodeCell")

    def replace_word(self, line_start: str, word: str, new: str) -> None:
        """Type another word over one, in the line that starts so."""
        until(lambda: self._selects(line_start, word), f"{word} selected in the line {line_start}")
        self._do().send_keys(new).perform()
        until(lambda: self._with_text(".jp-Notebook .cm-line", f"{line_start} {new}"), f"{line_start} {new}")

    def run_down_to(self, text: str) -> Any:
        """The cell that holds the text, after it and all code above it ran, one Shift-Enter after the other."""
        from selenium.webdriver.common.keys import Keys

        places = until(lambda: self._places(text), f"a code cell with {text}")
        for place in range(places[0] + 1):
            until(lambda place=place: self._activates(place), f"code cell {place + 1} active")
            self._do().key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
            until(lambda place=place: self._ran(place, place + 1), f"that code cell {place + 1} ran")
        return self.code_cells()[places[0]]

    def run_all(self) -> None:
        """Choose Run All Cells in the menu, and wait for the last one."""
        self._choose(".lm-MenuBar-item", "Run")
        self._choose(".lm-Menu-item", "Run All Cells")
        last = len(self.code_cells())
        until(lambda: self._ran(last - 1, last), f"that code cell {last} ran")

    def save(self) -> None:
        """Save by the key, and wait until nothing is unsaved."""
        from selenium.webdriver.common.keys import Keys

        self._do().key_down(Keys.CONTROL).send_keys("s").key_up(Keys.CONTROL).perform()
        until(lambda: not self._all(".lm-DockPanel-tabBar .jp-mod-dirty"), f"that {self.name} is saved")

    def figures(self, cell: Any = None) -> list[Any]:
        """The pictures that its cells, or one of them, have drawn."""
        return self._all(".jp-OutputArea-output.jp-RenderedImage, .jp-OutputArea-output svg", cell)

    def errors(self) -> list[str]:
        """The errors in its cells' outputs."""
        return [error.text for error in self._all("[data-mime-type='application/vnd.jupyter.error']")]

    def keep_in_view(self, output: Any, height: int) -> None:
        """Show the output below the notebook too, in a view of this height, and the notebook from its top."""
        self.show(output)
        self._do().context_click(output).perform()
        self._choose(".lm-Menu-item", "Create New View for Cell Output")
        view = until(lambda: self._all(".jp-LinkedOutputView"), "the view of the output")[0]
        border = until(lambda: self._all(".lm-DockPanel-handle[data-orientation='vertical']:not(.lm-mod-hidden)"), "it")
        self._do().drag_and_drop_by_offset(border[0], 0, view.size["height"] - height).perform()
        self.show(self._all(".jp-Notebook .jp-Cell")[0])

    def show(self, element: Any) -> None:
        """Scroll until it is seen."""
        self._driver.execute_script("arguments[0].scrollIntoView()", element)

    def _selects(self, line_start: str, word: str) -> bool:
        """Double click on the word; whether it is what is selected now (the page may have moved under the mouse)."""
        line = self._with_text(".jp-Notebook .cm-line", line_start)
        span = self._with_text("span", word, line) if line else None
        if span:
            self._do().scroll_to_element(span).double_click(span).perform()
        return self._driver.execute_script("return getSelection().toString()") == word

    def _activates(self, place: int) -> bool:
        """Click on the prompt of the code cell at this place; whether it is the active one now."""
        cell = self.code_cells()[place]
        prompt = self._all(".jp-InputPrompt", cell)[0]
        self.show(prompt)
        self._do().click(prompt).perform()
        return "jp-mod-active" in cell.get_attribute("class")

    def _places(self, text: str) -> list[int]:
        """Which code cells hold the text."""
        sources = [cell.get_attribute("textContent") for cell in self.code_cells()]
        return [place for place, source in enumerate(sources) if text in source]

    def _ran(self, place: int, count: int) -> bool:
        """Whether the code cell at this place bears this number."""
        return self._all(".jp-InputPrompt", self.code_cells()[place])[0].text == f"[{count}]:"

    def _choose(self, kind: str, text: str) -> None:
        until(lambda: self._with_text(kind, text), f"{text} in the menu").click()

    def _with_text(self, selector: str, text: str, place: Any = None) -> Any:
        """The first such element whose text starts so, or None."""
        return next((found for found in self._all(selector, place) if found.text.startswith(text)), None)

    def _all(self, selector: str, place: Any = None) -> list[Any]:
        return (place or self._driver).find_elements("css selector", selector)

    def _do(self) -> Any:
        from selenium.webdriver import ActionChains

        return ActionChains(self._driver)
