"""Make a miniature competition: `python -m build.miniature data/mini [--set n_clips=200 ...]`."""

from pathlib import Path

from build.cli.exit_codes import Parser, end, tool
from lib.competition.miniature.make import make_miniature, read_info
from lib.competition.miniature.spec import MiniatureSpec, with_settings

PRESETS = {"demo": MiniatureSpec, "tiny": MiniatureSpec.tiny, "full_width": MiniatureSpec.full_width}


@tool
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = Parser(__doc__)
    parser.add_argument("root", type=Path, help="the folder to make, or to leave alone when it is already the same")
    parser.add_argument("--preset", choices=PRESETS, default="demo")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="name=value")
    parser.add_argument("--workers", type=int, help="threads; all cores by default, the result is the same")
    options = parser.parse_args(arguments)
    spec = with_settings(PRESETS[options.preset](), options.settings)
    root = make_miniature(options.root, spec, workers=options.workers)
    counts = ", ".join(f"{count} {thing}" for thing, count in read_info(root)["counts"].items())
    print(f"{root}: {counts}")
    return 0


if __name__ == "__main__":
    end(main)
