"""Show kernels on Kaggle: `python -m build.watch status`, `logs K`, `outputs K` (K: prep … infer, or a slug)."""

from pathlib import Path

from build.cli.exit_codes import Parser, end, tool
from build.kaggle_io.client import connect, username
from build.kaggle_io.lock import kaggle_lock
from build.kaggle_io.outputs import fetch_outputs
from build.kaggle_io.push_log import KERNELS, kernel_folder
from build.kaggle_io.versions import latest, outputs_of, status_of
from build.project import ROOT
from lib.core.errors import BadInput


def table(api, owner: str) -> str:
    """One line for each kernel of the bundle: its latest version and that one's status."""
    lines = []
    for short, slug in KERNELS.items():
        there = latest(api, f"{owner}/{slug}")
        if there is None:
            state = "not on Kaggle"
        else:
            status = status_of(api, f"{owner}/{slug}", there.version)
            state = f"v{there.version:<4} {status.name}" + (f": {status.failure}" if status.failure else "")
        lines.append(f"{short:<7} {owner}/{slug:<28} {state}")
    return "\n".join(lines)


def version_of(api, kernel: str, requested: int) -> int:
    """The requested version, or else the latest."""
    if requested:
        return requested
    there = latest(api, kernel)
    if there is None or not there.version:
        raise BadInput(
            f"no version of {kernel} is known",
            expected="a kernel on Kaggle whose versions are numbered",
            got="no such kernel" if there is None else "a kernel without a number",
            do="push it first, fix the name, or give --version",
        )
    return there.version


@tool
def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    parser = Parser(__doc__)
    parser.add_argument("what", choices=("status", "logs", "outputs"))
    parser.add_argument("kernel", nargs="?", help=f"{', '.join(KERNELS)}, or a slug")
    parser.add_argument("--owner", help="whose kernels (default: the user who is logged in)")
    parser.add_argument("--version", type=int, default=0, help="of the kernel (default: the latest)")
    given = parser.parse_args(arguments)
    if given.what != "status" and not given.kernel:
        parser.error(f"{given.what} of which kernel? {', '.join(KERNELS)}, or a slug")
    api = connect()
    owner = given.owner or username(api)
    if given.what == "status":
        print(table(api, owner))
        return 0
    slug = KERNELS.get(given.kernel, given.kernel)
    kernel = f"{owner}/{slug}"
    version = version_of(api, kernel, given.version)
    if given.what == "logs":
        print(outputs_of(api, kernel, version)[1], end="")
    else:
        kept = kernel_folder(root, slug) / f"v{version}"
        with kaggle_lock(root, waits=True):
            names = fetch_outputs(api, kernel, version, kept)
        print("\n".join(f"{kept / name}" for name in names))
    return 0


if __name__ == "__main__":
    end(main)
