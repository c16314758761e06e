"""Push a kernel to Kaggle and wait until it is done: build, check, rehearse, show, push, wait, fetch, record.

python -m build.push infer                              the submission kernel, after a sealed rehearsal
python -m build.push train --set "fold=0" --no-wait     a variant, in a kernel of its own
python -m build.push train --gpu --set "preset=s3"      on Kaggle's two T4
python -m build.push all                                01 to 06, each after the one before; resumes where it ended
python -m build.push infer --dry                        only show the request

Exit status: 0 COMPLETE (or --dry); 1 failed; 2 refused before anything was sent; 3 not known yet; 130 Ctrl-C.
A second call with the same kernel goes on waiting where the first was interrupted.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from build import inline, rehearse
from build.kaggle_io import client
from build.kaggle_io.client import OutcomeUnknown, ResponseLost, connect, username
from build.kaggle_io.outputs import fetch_outputs
from build.kaggle_io.push import SourcesDropped, complete_push, push_once, unfinished_push
from build.kaggle_io.push_log import KERNELS, KaggleRun, PushRecord, append_run, kernel_folder, now, save_push
from build.kaggle_io.request import build_request, request_json, summarise
from build.kaggle_io.versions import Status, wait_for_end
from build.kernels import metadata, variants
from build.project import ROOT
from build.sandbox.inputs import REHEARSAL_RECEIPT, compare_inputs
from lib.core.errors import BadInput, shorten

COMPLETE, FAILED, REFUSED, UNKNOWN, INTERRUPTED = 0, 1, 2, 3, 130
_TAIL_LINES = 15


def build_kernels(root: Path, given: argparse.Namespace, owner: str) -> list[tuple[Path, dict]]:
    """Build the kernels to push: each folder with its request; the submission kernel is rehearsed, unless under way."""
    names = list(KERNELS.values()) if given.kernel == "all" else [KERNELS[given.kernel]]
    built = inline.build(root, owner, names, variants.parse_assignments(given.set), given.source, given.gpu)
    folders = [root / "dist" / "kernels" / kernel.name for kernel in built]
    requests = [(folder, build_request(folder)) for folder in folders]
    for folder, request in requests:
        rehearsable = folder.name.startswith(rehearse.KERNEL) and not given.dry
        if rehearsable and not unfinished_push(root, folder.name, request):
            _rehearse(root, folder.name, given)
    return requests


def _rehearse(root: Path, slug: str, given: argparse.Namespace) -> None:
    """Run the built submission kernel in both modes; anything wrong with it raises."""
    arguments = ["--kernel", slug, "--data", str(root / given.data), "--outputs", str(root / given.runs)]
    if rehearse.main(arguments, root):
        raise BadInput(
            f"{slug} was not pushed",
            expected="a rehearsal without a fault in both modes",
            got="the failure above",
            do="fix it, then push again",
        )


def deliver(api, root: Path, folder: Path, request: dict, given: argparse.Namespace) -> int:
    """Push one built folder, wait for it, fetch its log and outputs, record its run; return the exit status."""
    deadline_s = client.clock() + given.limit_s
    print(summarise(request), flush=True)
    try:
        sent = push_once(api, root, folder, request, deadline_s)
    except SourcesDropped as error:
        _record_end(root, error.record, "SOURCES DROPPED", str(error.got), [])
        raise
    if given.no_wait:
        print("not waiting; the same command without --no-wait waits for it")
        return UNKNOWN
    status = wait_for_end(api, sent, deadline_s)
    kept = kernel_folder(root, folder.name) / f"v{sent.version}"
    if status.name != "COMPLETE":
        return _failed(api, root, sent, status, kept)
    outputs = fetch_outputs(api, sent.kernel, sent.version, kept)
    _record_end(root, sent, status.name, status.failure, outputs)
    print(f"{sent.kernel} version {sent.version}: COMPLETE; log and {len(outputs)} outputs in {kept}")
    return COMPLETE if _inputs_as_rehearsed(root, folder.name, kept, given.source) else FAILED


def _failed(api, root: Path, sent: PushRecord, status: Status, kept: Path) -> int:
    """Fetch a failed run's outputs, record it, print the reason and the end of its log; return the exit status."""
    outputs: list[str] = []
    log: list[str] = []
    try:
        outputs = fetch_outputs(api, sent.kernel, sent.version, kept)
        log = (kept / f"{kept.parent.name}.log").read_text(encoding="utf-8").splitlines()
    except BadInput as error:  # the run's failure matters more
        print(f"its log and outputs were not fetched: {error}", file=sys.stderr)
    _record_end(root, sent, status.name, status.failure, outputs)
    print(
        "\n".join(
            [
                f"FAILED: {sent.kernel} version {sent.version}: {status.name}, {status.failure or 'no reason given'}",
                *(f"  {line}" for line in log[-_TAIL_LINES:]),
                f"do this: fix it and push again; its outputs are in {kept}, the run at {sent.url}",
            ]
        ),
        file=sys.stderr,
    )
    return FAILED


def _record_end(root: Path, sent: PushRecord, status: str, failure: str, outputs: list[str]) -> None:
    """Append the run's line and save its final status: the next call pushes anew."""
    ended = KaggleRun(sent.kernel, sent.version, sent.sha, status, failure, sent.pushed_at, now(), outputs, sent.url)
    append_run(root, ended)
    save_push(root, replace(sent, status=status))


def _inputs_as_rehearsed(root: Path, slug: str, kept: Path, source: str) -> bool:
    """False when the submission read other weights than the rehearsal although both are the same dataset's."""
    if not slug.startswith(rehearse.KERNEL):
        return True
    missing = [path for path in (kept / "receipt.json", root / REHEARSAL_RECEIPT) if not path.is_file()]
    if missing:
        print(f"inputs not compared: there is no {shorten(missing)}", file=sys.stderr)
        return source == "kernels"
    result = compare_inputs(kept / "receipt.json", root / REHEARSAL_RECEIPT)
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
    """Push every requested kernel; the exit status of the first that is not COMPLETE, or 0."""
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
        requests = build_kernels(root, given, owner)
    except BadInput as error:
        print(f"NOTHING SENT: {error}", file=sys.stderr)
        return REFUSED
    if given.dry:
        print("\n".join(request_json(request) for _folder, request in requests))
        if not given.owner:
            print(f"shown as {owner}'s, without a login; give --owner NAME", file=sys.stderr)
        return COMPLETE
    since = ""
    for folder, request in requests:
        if given.kernel == "all" and (last := complete_push(root, folder.name, request, since)):
            print(f"{last.kernel} version {last.version} is COMPLETE already, nothing before it has changed")
            since = last.pushed_at
            continue
        try:
            status = deliver(api, root, folder, request, given)
        except (OutcomeUnknown, ResponseLost) as error:
            print(f"NOT KNOWN YET: {error}", file=sys.stderr)
            return UNKNOWN
        except BadInput as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return FAILED
        if status != COMPLETE:
            return status
        since = now()
    return COMPLETE


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernel", choices=(*KERNELS, "all"))
    parser.add_argument("--owner", help="whose kernels they are (default: the user who is logged in)")
    parser.add_argument("--set", default="", metavar="VALUES", help='parameters, "fold=0 backbone=x": a kernel variant')
    parser.add_argument("--from", dest="source", choices=metadata.CHAINS, default="kernels", help="where weights lie")
    parser.add_argument("--gpu", action="store_true", help="request GPUs: the big presets of 02 need them")
    parser.add_argument("--dry", action="store_true", help="show the request; send nothing, log in nowhere")
    parser.add_argument("--no-wait", action="store_true", help="return after the push, with status 3")
    parser.add_argument("--limit-s", type=float, default=32400.0, help="seconds to wait for each kernel (%(default)g)")
    parser.add_argument("--data", type=Path, default=Path("data/mini"), help="the rehearsal's competition folders")
    parser.add_argument("--runs", type=Path, default=Path("runs/mini"), help="the rehearsal's earlier outputs")
    return parser.parse_args(arguments)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """The command line; the exit statuses are those listed above."""
    try:
        return run(root, parse_arguments(arguments))
    except KeyboardInterrupt:
        print("\ninterrupted: what was pushed runs on; the same command waits for it", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
