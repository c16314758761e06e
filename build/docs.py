"""Update the README's measured parts from real runs, and take its screenshot.

python -m build.docs    runs the demo, the tests and the bench, and puts their output between the README's marks
"""

import re
import subprocess
import sys

from build.project import ROOT
from lib.core.errors import BadInput

RUNS = {  # mark in the README -> command, and how many of its last lines are shown
    "demo": (["make", "demo"], 30),
    "test": (["make", "test"], 1),
    "bench": (["make", "bench"], 70),
    "calibrate": (["make", "calibrate"], 5),
}
PAGE, SCREENSHOT = ROOT / "dist/notebooks/index.html", ROOT / "docs/notebooks.png"


def replace_block(text: str, mark: str, lines: list[str]) -> str:
    """The text with the code block after `<!-- mark -->` holding these lines; without such a block it is an error."""
    pattern = re.compile(rf"(<!-- {mark} -->\n```\n)(\$ [^\n]*\n)?.*?(```)", re.DOTALL)
    if not pattern.search(text):
        raise BadInput(
            f"README has no block {mark!r}",
            expected=f"<!-- {mark} --> before a code block",
            got="none",
            do="put the mark there",
        )
    body = "\n".join(lines) + "\n"
    return pattern.sub(lambda found: f"{found[1]}{found[2] or ''}{body}{found[3]}", text)


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
    """Run everything, then write the README once."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    for mark, (command, last) in RUNS.items():
        text = replace_block(text, mark, output_of(command, last))
    readme.write_text(text)
    take_screenshot()
    return 0


if __name__ == "__main__":
    sys.exit(main())
