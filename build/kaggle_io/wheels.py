"""Collect the wheels that Kaggle's image lacks in dist/wheels/, a folder ready to become the dataset pantanal-wheels.

python -m build.kaggle_io.wheels [--openvino] [--litert]
"""

import subprocess
import sys
from pathlib import Path

from build.cli.exit_codes import Parser, end, tool
from build.kernels import metadata
from build.project import ROOT
from lib.core.errors import BadInput
from lib.core.pinned_wheels import PINNED_WHEELS
from lib.core.records import write_json
from lib.core.wheels import Wheel, parse_wheel_name, sha256_of

_LIST = "lib/core/pinned_wheels.py"
ALWAYS = ("onnxruntime", "onnx_ir", "onnxscript")  # torch writes networks as ONNX with the last, which needs onnx_ir
_TAIL_LINES = 6


def collect(root: Path, packages: tuple[str, ...] = ALWAYS) -> Path:
    """Collect the pinned wheels of these packages in dist/wheels/, with the dataset's metadata."""
    folder = root / "dist" / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    pinned = {name: digest for name, digest in PINNED_WHEELS.items() if _wheel(name).package in packages}
    for other in set(folder.iterdir()) - {folder / name for name in pinned}:
        other.unlink()  # everything in the folder becomes part of the dataset
    for name, digest in pinned.items():
        if not (folder / name).is_file() or sha256_of(folder / name) != digest:
            (folder / name).unlink(missing_ok=True)  # pip would keep a file that is there
            _download(_wheel(name), folder)
            _check(folder / name, digest)
    write_json(folder / "dataset-metadata.json", metadata.dataset_metadata(metadata.WHEELS))
    return folder


def _wheel(name: str) -> Wheel:
    """The wheel of a pinned file name."""
    wheel = parse_wheel_name(Path(name))
    if wheel is None:
        raise BadInput(
            f"{_LIST} names a file that is no wheel",
            expected="package-version-python-abi-platform.whl",
            got=name,
            do="pin the name that pip gives the file",
        )
    return wheel


def _download(wheel: Wheel, folder: Path) -> None:
    """Let pip download this very wheel from its configured index; its failure is an error."""
    kind = []
    if wheel.platform != "any":
        kind = ["--implementation", "cp", "--python-version", wheel.python.removeprefix("cp"), "--abi", wheel.abi]
        kind += [part for tag in wheel.platform.split(".") for part in ("--platform", tag)]
    command = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command += [*kind, "--dest", str(folder), f"{wheel.package}=={wheel.version}"]
    print(f"downloading {wheel.path.name}", flush=True)
    done = subprocess.run([sys.executable, "-m", "pip", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput(
            f"{wheel.path.name} could not be downloaded",
            expected="pip's exit status 0",
            got=f"{done.returncode}: " + "\n".join((done.stderr + done.stdout).splitlines()[-_TAIL_LINES:]),
            do=f"fix the network or pip's settings, or put the file into {folder} yourself",
        )


def _check(path: Path, digest: str) -> None:
    """Refuse, and remove, a file that is not the one pinned."""
    got = sha256_of(path) if path.is_file() else "no such file: pip chose another"
    if got != digest:
        path.unlink(missing_ok=True)
        raise BadInput(
            f"{path.name} is not the wheel that was pinned",
            expected=f"SHA-256 {digest}",
            got=got,
            do=f"check why it changed; to pin another wheel, edit {_LIST}",
        )


@tool
def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    parser = Parser(__doc__)
    parser.add_argument("--openvino", action="store_true", help="with OpenVINO")
    parser.add_argument("--litert", action="store_true", help="with LiteRT, which runs TFLite models")
    given = parser.parse_args(arguments)
    more = ("openvino",) * given.openvino + ("ai_edge_litert",) * given.litert
    folder = collect(root, ALWAYS + more)
    for path in sorted(folder.glob("*.whl")):
        print(f"{path.stat().st_size / 1e6:8.1f} MB  {path.name}")
    print(f"in {folder}, as the list pins them")
    return 0


if __name__ == "__main__":
    end(main)
