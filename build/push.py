"""Push a kernel to Kaggle and wait until it is done: build, lint, rehearse, show, push, wait, fetch, write down.

python -m build.push infer                              the submission kernel, after a sealed rehearsal
python -m build.push train --set "fold=0" --no-wait     a variant, in a kernel of its own
python -m build.push train --gpu --set "preset=s3"      on Kaggle's two T4
python -m build.push all                                01 to 06, each after the one before; goes on where it ended
python -m build.push infer --dry                        only show the request

Exit status: 0 COMPLETE (or --dry); 1 failed; 2 refused before anything was sent; 3 not known yet; 130 Ctrl-C.
A second call with the same kernel goes on waiting where the first was interrupted.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from build import inline, rehearse
from build.kaggle_io import client as kaggle_client
from build.kaggle_io.client import AnswerLost, StillUnknown, connect, username
from build.kaggle_io.outputs import fetch
from build.kaggle_io.push import Dropped, complete, pushed, unfinished
from build.kaggle_io.push_log import KERNELS, Pushed, PushLine, append_line, kernel_folder, now, remember
from build.kaggle_io.request import as_shown, described, requested
from build.kaggle_io.versions import Status, ended
from build.kernels import metadata, variants
from build.project import ROOT
from build.sandbox.inputs import REHEARSED, compared
from lib.core.errors import BadInput, shorten

COMPLETE, FAILED, REFUSED, UNKNOWN, INTERRUPTED = 0, 1, 2, 3, 130
_TAIL_LINES = 15


def prepared(root: Path, given: argparse.Namespace, owner: str) -> list[Path]:
    """The folders to push, built and linted; the submission kernel also rehearsed, unless it is on its way already."""
    names = list(KERNELS.values()) if given.kernel == "all" else [KERNELS[given.kernel]]
    built = inline.build(root, owner, names, variants.assignments(given.set), given.source, given.gpu)
    folders = [root / "dist" / "kernels" / kernel.name for kernel in built]
    for folder in folders:
        if folder.name.startswith(rehearse.KERNEL) and not given.dry and not unfinished(root, folder):
            _rehearse(root, folder.name, given)
    return folders


def _rehearse(root: Path, slug: str, given: argparse.Namespace) -> None:
    """Run the built submission kernel in both modes; anything wrong with it raises."""
    arguments = ["--kernel", slug, "--data", str(root / given.data), "--outputs", str(root / given.runs)]
    if rehearse.main(arguments, root):
        raise BadInput(
            f"{slug} was not pushed",
            expected="a rehearsal without a fault in both modes",
            got="the failure above",
            do="mend it, then push again",
        )


def deliver(api, root: Path, folder: Path, given: argparse.Namespace) -> int:
    """Push one built folder, wait for it, fetch its log and outputs, write its line; the exit status."""
    deadline_s = kaggle_client.clock() + given.limit_s
    print(described(requested(folder)), flush=True)
    try:
        sent = pushed(api, root, folder, deadline_s)
    except Dropped as error:
        _close(root, error.pushed, "SOURCES DROPPED", error.got, [])
        raise
    if given.no_wait:
        print("not waiting; the same command without --no-wait waits for it")
        return UNKNOWN
    status = ended(api, sent, deadline_s)
    kept = kernel_folder(root, folder.name) / f"v{sent.version}"
    if status.name != "COMPLETE":
        return _failed(api, root, sent, status, kept)
    outputs = fetch(api, sent.kernel, sent.version, kept)
    _close(root, sent, status.name, status.failure, outputs)
    print(f"{sent.kernel} version {sent.version}: COMPLETE; log and {len(outputs)} outputs in {kept}")
    return COMPLETE if _inputs_as_rehearsed(root, folder.name, kept, given.source) else FAILED


def _failed(api, root: Path, sent: Pushed, status: Status, kept: Path) -> int:
    """Fetch what a failed run left, write its line, print why it failed and the end of its log; the exit status."""
    outputs, log = [], []
    try:
        outputs = fetch(api, sent.kernel, sent.version, kept)
        log = (kept / f"{kept.parent.name}.log").read_text(encoding="utf-8").splitlines()
    except BadInput as error:  # the run's failure is the news
        print(f"its log and outputs were not fetched: {error}", file=sys.stderr)
    _close(root, sent, status.name, status.failure, outputs)
    print(
        "\n".join(
            [
                f"FAILED: {sent.kernel} version {sent.version}: {status.name}, {status.failure or 'no reason given'}",
                *(f"  {line}" for line in log[-_TAIL_LINES:]),
                f"do this: mend it and push again; what it left is in {kept}, the run at {sent.url}",
            ]
        ),
        file=sys.stderr,
    )
    return FAILED


def _close(root: Path, sent: Pushed, status: str, failure: str, outputs: list[str]) -> None:
    """Write the run's line, and how it ended: the next call pushes anew."""
    append_line(root, PushLine(sent.kernel, sent.version, sent.sha, status, failure, sent.at, now(), outputs, sent.url))
    remember(root, replace(sent, status=status))


def _inputs_as_rehearsed(root: Path, slug: str, kept: Path, source: str) -> bool:
    """True unless the submission read other weights than the rehearsal although both are the same dataset's."""
    if not slug.startswith(rehearse.KERNEL):
        return True
    missing = [path for path in (kept / "receipt.json", root / REHEARSED) if not path.is_file()]
    if missing:
        print(f"inputs not compared: there is no {shorten(missing)}", file=sys.stderr)
        return source == "kernels"
    result = compared(kept / "receipt.json", root / REHEARSED)
    print("\n".join(["inputs on Kaggle:", *result.lines]))
    if result.different and source == "dataset":
        print(
            f"FAILED: {shorten(result.different)} on Kaggle is not what was rehearsed\n"
            "do this: push the weights again (make push-weights), wait until the dataset is ready, push again",
            file=sys.stderr,
        )
        return False
    return True


def run(root: Path, given: argparse.Namespace) -> int:
    """Everything that was asked for; the exit status of the first kernel that is not COMPLETE, or 0."""
    api = None
    try:
        if given.kernel == "all" and (given.no_wait or given.set or given.gpu):
            raise BadInput(
                "all kernels read each other's outputs, and one of them may have no GPU",
                expected="all without --no-wait, --set and --gpu",
                got="all with one of them",
                do="push that kernel by itself",
            )
        if given.dry:
            owner = given.owner or metadata.DEFAULT_OWNER
        else:
            api = connect()
            owner = given.owner or username(api)
        folders = prepared(root, given, owner)
    except BadInput as error:
        print(f"NOTHING SENT: {error}", file=sys.stderr)
        return REFUSED
    if given.dry:
        print("\n".join(as_shown(requested(folder)) for folder in folders))
        if not given.owner:
            print(f"shown as {owner}'s: who is logged in was not asked; give --owner NAME", file=sys.stderr)
        return COMPLETE
    since = ""
    for folder in folders:
        if given.kernel == "all" and (last := complete(root, folder, since)):
            print(f"{last.kernel} version {last.version} is COMPLETE already, nothing before it has changed")
            since = last.at
            continue
        try:
            status = deliver(api, root, folder, given)
        except (StillUnknown, AnswerLost) as error:
            print(f"NOT KNOWN YET: {error}", file=sys.stderr)
            return UNKNOWN
        except BadInput as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return FAILED
        if status != COMPLETE:
            return status
        since = now()
    return COMPLETE


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernel", choices=(*KERNELS, "all"))
    parser.add_argument("--owner", help="whose kernels they are (default: the user who is logged in)")
    parser.add_argument("--set", default="", metavar="VALUES", help='parameters, "fold=0 backbone=x": a kernel variant')
    parser.add_argument("--from", dest="source", choices=metadata.CHAINS, default="kernels", help="where weights lie")
    parser.add_argument("--gpu", action="store_true", help="ask Kaggle for GPUs: the big presets of 02 want them")
    parser.add_argument("--dry", action="store_true", help="show the request; send nothing, log in nowhere")
    parser.add_argument("--no-wait", action="store_true", help="return after the push, with status 3")
    parser.add_argument("--limit-s", type=float, default=32400.0, help="seconds to wait for each kernel (%(default)g)")
    parser.add_argument("--data", type=Path, default=Path("data/mini"), help="the rehearsal's competition folders")
    parser.add_argument("--runs", type=Path, default=Path("runs/mini"), help="the rehearsal's earlier outputs")
    return parser.parse_args(arguments)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """The command line; its exit status tells the truth."""
    try:
        return run(root, parsed(arguments))
    except KeyboardInterrupt:
        print("\ninterrupted: what was pushed runs on; the same command waits for it", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
