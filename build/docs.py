"""Update the measured parts of README and docs/results.md from real runs, and renew the pictures in docs/.

python -m build.docs                       runs demo, tests, ladder, bench and calibration; then takes the pictures
python -m build.docs demo test pictures    only these; `pictures` needs the pages of a demo, and chromium
"""

import json
import os
import re
import shutil
import subprocess
import sys

from build.cli.exit_codes import Parser, end, tool
from build.notebooks.parameters import parameters_of
from build.notebooks.source import read_notebook, title_and_summary
from build.project import ROOT
from lib.core.errors import BadInput
from lib.core.fingerprint import of_json

PAPERS = ("README.md", "docs/results.md")
RUNS = {  # mark in one of the papers -> command, and the number of its last lines that are shown
    "demo": (["make", "demo"], 6),
    "test": (["make", "test"], 3),
    "ladder": (["make", "ladder"], 19),
    "bench": (["make", "bench"], 70),
    "calibrate": (["make", "calibrate"], 5),
}
PICTURES = {"notebooks.png": "0*.py", "lab.png": "02_fold_training.py"}  # picture in docs/ -> notebooks it shows
RECORD = ROOT / "docs/pictures.json"  # picture -> fingerprint of the notebooks' state at that time


def replace_block(text: str, mark: str, lines: list[str]) -> str:
    """The text with the code block after `<!-- mark -->` holding these lines; a first line with a `$` stays."""
    pattern = re.compile(rf"(<!-- {mark} -->\n```\n)(\$ [^\n]*\n)?.*?(```)", re.DOTALL)
    body = "\n".join(lines) + "\n"
    return pattern.sub(lambda found: f"{found[1]}{found[2] or ''}{body}{found[3]}", text)


def paper_with(papers: dict[str, str], mark: str) -> str:
    """The name of the paper with `<!-- mark -->` before a code block; without one it is an error."""
    found = [name for name, text in papers.items() if f"<!-- {mark} -->\n```\n" in text]
    if not found:
        raise BadInput(
            f"no block {mark!r} in {', '.join(papers)}",
            expected=f"<!-- {mark} --> before a code block",
            got="none",
            do="add the mark to one of them",
        )
    return found[0]


def output_of(command: list[str], last: int) -> list[str]:
    """The last lines of the command's output; its failure is an error."""
    print(f"running {' '.join(command)} …", flush=True)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("make")]
    return ["…", *lines[-last:]] if len(lines) > last else lines


def shown_state(picture: str) -> str:
    """The fingerprint of what a picture shows of its notebooks: titles, summaries and parameters."""
    shown = {}
    for source in sorted((ROOT / "notebooks_src").glob(PICTURES[picture])):
        parameters = {name: (each.kind, each.default, each.help) for name, each in parameters_of(source).items()}
        shown[source.stem] = [title_and_summary(read_notebook(source), source.stem), parameters]
    return of_json(shown)


def stale_pictures() -> list[str]:
    """The pictures in docs/ that are older than the notebooks they show."""
    recorded = json.loads(RECORD.read_text())
    return [picture for picture in PICTURES if recorded.get(picture) != shown_state(picture)]


def take_pictures() -> None:
    """Save the top of the notebooks' index page, and 02 in JupyterLab as the browser test leaves it."""
    from selenium import webdriver  # of the group docs, which the rest of this file does without

    options = webdriver.ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,760", "--hide-scrollbars"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    service = webdriver.ChromeService(shutil.which("chromedriver"))  # named: nothing is downloaded
    with webdriver.Chrome(options=options, service=service) as browser:
        browser.get((ROOT / "dist/notebooks/index.html").as_uri())
        browser.save_screenshot(str(ROOT / "docs/notebooks.png"))
    test = ["-m", "pytest", "-m", "slow", "tests/build/test_lab_browser.py", "-k", "an_edit"]
    environment = os.environ | {"LAB_PICTURE": str(ROOT / "docs/lab.png")}
    subprocess.run([sys.executable, *test], cwd=ROOT, env=environment, check=True)
    RECORD.write_text(json.dumps({picture: shown_state(picture) for picture in PICTURES}, indent=2) + "\n")


@tool
def main(arguments: list[str] | None = None) -> int:
    """Run what is named, or everything, and write each paper after each run."""
    parser = Parser(__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join([*RUNS, 'pictures'])} (default: all)")
    parts = parser.parse_args(arguments).parts or [*RUNS, "pictures"]
    if unknown := set(parts) - {*RUNS, "pictures"}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for mark in [part for part in parts if part in RUNS]:
        papers = {paper: (ROOT / paper).read_text() for paper in PAPERS}
        paper, (command, last) = paper_with(papers, mark), RUNS[mark]
        (ROOT / paper).write_text(replace_block(papers[paper], mark, output_of(command, last)))
    if "pictures" in parts:
        take_pictures()
    return 0


if __name__ == "__main__":
    end(main)
