"""Check a call of make before it installs or builds anything: variables, their values, and the parameters in P.

    python3 -m build.cli.make_check "<targets>" NAME=value …        (the Makefile does this; it needs no package)

The Makefile's own help is what is checked against: behind `|` stand a target's variables, optional ones in brackets.
`A=x|y` takes one of these, `A=1` that number alone (a switch), `A=600` any whole number, all else is text.
"""

import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from build.cli.exit_codes import DONE, end, tool
from build.project import ROOT
from lib.core.errors import BadInput, did_you_mean

ALWAYS = ("PYTHON", "OPENBLAS_NUM_THREADS")
_TARGET = re.compile(r"^([a-z-]+):.*?## ([^|\n]*)(?:\| (.*))?$", re.M)
_VARIABLE = re.compile(r"([A-Z_]+)(?:=(\"[^\"]*\"|[^\s\]]*))?")


@dataclass(frozen=True)
class Variable:
    """A variable of a target: an example of its value, or its choices; and True where it must be given."""

    name: str
    example: str
    needed: bool

    @property
    def shown(self) -> str:
        """As a person would type it."""
        return f"{self.name}={self.example or '…'}"

    def wrong(self, value: str) -> str:
        """What is expected in the place of the value; empty where it fits."""
        choices = self.example.split("|")
        if len(choices) > 1:
            return "" if value in choices else f"one of {', '.join(choices)}"
        if self.example in ("0", "1"):
            return "" if value in ("", self.example) else f"{self.example}, or nothing"
        if self.example.isdigit():
            return "" if re.fullmatch("[1-9][0-9]*", value) else "a whole number above 0"
        return ""


def targets_of(makefile: str) -> dict[str, list[Variable]]:
    """The variables of each target that the help lists."""
    found = {}
    for target, _, usage in _TARGET.findall(makefile):
        needed, _, optional = usage.partition("[")
        found[target] = [
            Variable(name, example, part is needed)
            for part in (needed, optional)
            for name, example in _VARIABLE.findall(part)
        ]
    return found


def check(targets: list[str], given: dict[str, str], makefile: str) -> None:
    """Refuse targets, variables and values that the Makefile does not know, and ones that are missing."""
    known = targets_of(makefile)
    for target in targets:
        if target not in known:
            raise BadInput(
                f"there is no target {target}",
                expected="one that `make help` lists",
                got=target,
                do=did_you_mean(target, known, "run make help"),
            )
    taken = {variable.name: variable for target in targets for variable in known[target]}
    shown = " ".join(targets)
    for name in given:
        if name not in taken and name not in ALWAYS:
            raise BadInput(
                f"make {shown} takes no variable {name}",
                expected=f"some of {', '.join(taken) or 'none'}",
                got=f"{name}={given[name]}",
                do=did_you_mean(name, taken, f"leave {name} out"),
            )
    for variable in taken.values():
        value = given.get(variable.name, "")
        if variable.needed and not value.strip():
            raise BadInput(
                f"make {shown} needs {variable.name}", expected=variable.shown, got="none", do=f"give {variable.shown}"
            )
        if value and (expected := variable.wrong(value)):
            first = variable.example.split("|")[0]
            raise BadInput(
                f"{variable.name} cannot be this", expected=expected, got=value, do=f"set {variable.name}={first}"
            )
    for name, is_there, what in (("DATA", Path.is_dir, "folder"), ("SWEEP", Path.is_file, "file")):
        if name in taken and (path := given.get(name, "")) not in ("", "real") and not is_there(ROOT / path):
            raise BadInput(f"{name} names no {what}", expected=f"a {what}", got=path, do="check the path")
    for target in targets:
        if given.get("P"):
            _check_parameters(target, given["P"], given.get("ONLY", ""))


def _check_parameters(target: str, text: str, only: str) -> None:
    """Refuse parameters that the target's notebooks do not take."""
    from build.kaggle_io.push_log import KERNELS
    from build.notebooks.assignments import assign
    from build.notebooks.parameters import is_called

    sources = sorted((ROOT / "notebooks_src").glob("[0-9]*.py"))
    if kernel := KERNELS.get(target.removeprefix("push-")):
        only = kernel.split("-")[1]
    chosen = [source for source in sources if any(is_called(source, name) for name in only.split())] or sources
    with suppress(ModuleNotFoundError):  # of numpy, on a fresh machine: the tool checks settings of networks once more
        assign(chosen, text)


@tool
def main(arguments: list[str] | None = None) -> int:
    """The command line of the Makefile."""
    targets, *pairs = sys.argv[1:] if arguments is None else arguments
    given = {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
    check(targets.split(), given, (ROOT / "Makefile").read_text(encoding="utf-8"))
    return DONE


if __name__ == "__main__":
    end(main)
