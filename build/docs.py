"""Update the measured parts of README and docs/results.md from real runs, and take the README's screenshot.

python -m build.docs    runs demo, tests, ladder and bench, and puts their output into the marked code blocks
"""

import re
import subprocess
import sys

from build.project import ROOT
from lib.core.errors import BadInput

PAPERS = ("README.md", "docs/results.md")
RUNS = {  # mark in one of the papers -> command, and the number of its last lines that are shown
    "demo": (["make", "demo"], 30),
    "test": (["make", "test"], 1),
    "ladder": (["make", "ladder"], 40),
    "bench": (["make", "bench"], 70),
    "calibrate": (["make", "calibrate"], 5),
}
PAGE, SCREENSHOT = ROOT / "dist/notebooks/index.html", ROOT / "docs/notebooks.png"


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


def take_screenshot() -> None:
    """Save the top of the notebooks' index page as an image."""
    from selenium import webdriver  # of the group docs, which the rest of this file does without

    options = webdriver.ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,760", "--hide-scrollbars"):
        options.add_argument(flag)
    with webdriver.Chrome(options=options) as browser:
        browser.get(PAGE.as_uri())
        browser.save_screenshot(str(SCREENSHOT))


def main() -> int:
    """Run everything, then write each paper once."""
    papers = {paper: (ROOT / paper).read_text() for paper in PAPERS}
    for mark, (command, last) in RUNS.items():
        paper = paper_with(papers, mark)
        papers[paper] = replace_block(papers[paper], mark, output_of(command, last))
    for paper, text in papers.items():
        (ROOT / paper).write_text(text)
    take_screenshot()
    return 0


if __name__ == "__main__":
    sys.exit(main())
