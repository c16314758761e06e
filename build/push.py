"""Push a kernel to Kaggle and wait until it is done: build, check, rehearse, show, push, wait, fetch, record.

python -m build.push infer                              the submission kernel, after a sealed rehearsal
python -m build.push train --set "fold=0" --no-wait     a variant, in a kernel of its own
python -m build.push train --gpu --set "preset=s3"      on Kaggle's two T4
python -m build.push all                                01 to 06, each after the one before; resumes where it ended
python -m build.push infer --dry                        only show the request

Exit codes are those of build/cli/exit_codes.py: 0 COMPLETE and its outputs whole (or --dry, or pushed with --no-wait),
1 failed, 2 nothing sent, 3 not known yet: the same command searches Kaggle and goes on where the first was interrupted.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from build import inline
from build.cli.exit_codes import DONE, FAILED, INTERRUPTED, Failed, Parser, end, tool
from build.kaggle_io import client
from build.kaggle_io.client import OutcomeUnknown, connect, username
from build.kaggle_io.lock import kaggle_lock
from build.kaggle_io.outputs import check_outputs, fetch_outputs
from build.kaggle_io.push import close_push, complete_push, push_once, resume_push, sources_dropped
from build.kaggle_io.push_log import KERNELS, PushRecord, kernel_folder, last_push, now
from build.kaggle_io.request import build_request, request_json, summarise
from build.kaggle_io.versions import Status, wait_for_end
from build.kernels import metadata
from build.notebooks.assignments import assign
from build.project import ROOT
from build.sandbox.inputs import REHEARSAL_RECEIPT, compare_inputs
from lib.core.errors import BadInput, shorten

_TAIL_LINES = 15


def build_kernels(api, root: Path, given: argparse.Namespace, owner: str) -> list[tuple[Path, dict]]:
    """Build the kernels to push: each folder with its request; the submission kernel is rehearsed, unless on Kaggle."""
    names = list(KERNELS.values()) if given.kernel == "all" else [KERNELS[given.kernel]]
    built = inline.build(root, owner, names, given.set, given.source, given.gpu)
    folders = [root / "dist" / "kernels" / kernel.name for kernel in built]
    requests = [(folder, build_request(folder)) for folder in folders]
    for folder, request in requests:
        rehearsable = folder.name.startswith(KERNELS["infer"]) and not given.dry
        if rehearsable and not resume_push(api, root, folder.name, request):
            _rehearse(root, folder.name, given)
    return requests


def _rehearse(root: Path, slug: str, given: argparse.Namespace) -> None:
    """Run the built submission kernel in both modes; anything wrong with it raises."""
    from build import rehearse  # late: it brings pandas, which a check of parameters need not wait for

    arguments = ["--kernel", slug, "--data", str(root / given.data), "--outputs", str(root / given.runs)]
    if rehearse.main(arguments, root):
        raise BadInput(
            f"{slug} was not pushed",
            expected="a rehearsal without a fault in both modes",
            got="the failure above",
            do="fix it, then push again",
        )


def deliver(api, root: Path, folder: Path, request: dict, given: argparse.Namespace) -> int:
    """Push one built folder, wait for it, fetch and check its outputs, record its run; return the exit code."""
    slug, deadline_s = folder.name, client.clock() + given.limit_s
    print(summarise(request), flush=True)
    with kaggle_lock(root):
        sent = resume_push(api, root, slug, request)
        sent = sent or push_once(api, root, folder, request, client.clock() if given.no_wait else deadline_s)
        if sent.dropped:
            close_push(root, slug, sent, "SOURCES DROPPED", "; ".join(sent.dropped), [])
            raise sources_dropped(sent)
    if given.no_wait:
        print("not waiting; the same command without --no-wait waits for it")
        return DONE
    status = wait_for_end(api, sent, deadline_s)
    kept = kernel_folder(root, slug) / f"v{sent.version}"
    with kaggle_lock(root, waits=True):
        if status.name != "COMPLETE":
            return _failed(api, root, sent, status, kept)
        outputs = _fetch_whole(api, sent, kept, slug, request)
        close_push(root, slug, sent, status.name, status.failure, outputs)
    print(f"{sent.kernel} version {sent.version}: COMPLETE; log and {len(outputs)} outputs in {kept}")
    return DONE if _inputs_as_rehearsed(root, slug, kept, given.source) else FAILED


def _fetch_whole(api, sent: PushRecord, kept: Path, slug: str, request: dict) -> list[str]:
    """Fetch the outputs of the push and return their names; an error, which leaves it open, unless they are whole."""
    lib = json.loads(request["text"])["metadata"]["pantanal"]["lib_fingerprint"]
    try:
        return fetch_outputs(api, sent.kernel, sent.version, kept, partial(check_outputs, slug=slug, lib=lib))
    except BadInput as error:
        raise Failed(
            f"{sent.kernel} version {sent.version} is COMPLETE, and its outputs are not here: {error.what}",
            expected=error.expected,
            got=error.got,
            do=f"{error.do}; the same command fetches them again, and pushes nothing",
        ) from None


def _failed(api, root: Path, sent: PushRecord, status: Status, kept: Path) -> int:
    """Fetch a failed run's outputs, record it, print the reason and the end of its log; return the exit code."""
    outputs: list[str] = []
    log: list[str] = []
    try:
        outputs = fetch_outputs(api, sent.kernel, sent.version, kept)
        log = (kept / f"{kept.parent.name}.log").read_text(encoding="utf-8").splitlines()
    except BadInput as error:  # the run's failure matters more
        print(f"its log and outputs were not fetched: {error}", file=sys.stderr)
    close_push(root, kept.parent.name, sent, status.name, status.failure, outputs)
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


def _inputs_as_rehearsed(root: Path, slug: str, kept: Path, source: str) -> bool:
    """False when the submission read other weights than the rehearsal although both are the same dataset's."""
    if not slug.startswith(KERNELS["infer"]):
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
    """Push every requested kernel; the exit code of the first that is not COMPLETE, or 0."""
    if given.kernel == "all" and (given.no_wait or given.set or given.gpu):
        raise BadInput(
            "all kernels read each other's outputs, and one of them may have no GPU",
            expected="all without --no-wait, --set and --gpu",
            got="all with one of them",
            do="push that kernel by itself",
        )
    if given.set:  # checked before a login and a build
        assign([root / metadata.source_of(KERNELS[given.kernel])], given.set)
    if given.dry:
        requests = build_kernels(None, root, given, given.owner or metadata.DEFAULT_OWNER)
        print("\n".join(request_json(request) for _folder, request in requests))
        if not given.owner:
            print(f"shown as {metadata.DEFAULT_OWNER}'s, without a login; give --owner NAME", file=sys.stderr)
        return DONE
    try:
        api = connect()
        owner = _own_name(api, given.owner)
        with kaggle_lock(root):
            requests = build_kernels(api, root, given, owner)
    except OutcomeUnknown:
        raise
    except BadInput as error:
        print("NOTHING SENT:", file=sys.stderr)
        raise BadInput(error.what, expected=error.expected, got=error.got, do=error.do) from None
    except KeyboardInterrupt:
        print("\ninterrupted: nothing was sent", file=sys.stderr)
        return INTERRUPTED
    since = ""
    for folder, request in requests:
        if given.kernel == "all" and (last := complete_push(root, folder.name, request, since)):
            print(f"{last.kernel} version {last.version} is COMPLETE already, nothing before it has changed")
            since = last.pushed_at
            continue
        try:
            code = deliver(api, root, folder, request, given)
        except KeyboardInterrupt:
            last = last_push(root, folder.name)
            runs = f"version {last.version} runs on" if last and last.version and not last.status else "it may be sent"
            print(f"\ninterrupted: {runs}; the same command looks for it and waits", file=sys.stderr)
            return INTERRUPTED
        if code != DONE:
            return code
        since = now()
    return DONE


def _own_name(api, owner: str | None) -> str:
    """The user whose kernels are pushed; another than the one who is logged in is an error."""
    user = username(api)
    if owner and owner.lower() != user.lower():
        raise BadInput(
            "these kernels would be another user's",
            expected=f"OWNER={user}, the user of this login, or none",
            got=owner,
            do="leave OWNER out, or log in as that user",
        )
    return user


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = Parser(__doc__)
    parser.add_argument("kernel", choices=(*KERNELS, "all"))
    parser.add_argument("--owner", help="whose kernels they are (default: the user who is logged in)")
    parser.add_argument("--set", default="", metavar="VALUES", help='parameters, "fold=0 backbone=x": a kernel variant')
    parser.add_argument("--from", dest="source", choices=metadata.CHAINS, default="kernels", help="where weights lie")
    parser.add_argument("--gpu", action="store_true", help="request GPUs: the big presets of 02 need them")
    parser.add_argument("--dry", action="store_true", help="show the request; send nothing, log in nowhere")
    parser.add_argument("--no-wait", action="store_true", help="return after the push, with 0 once it is accepted")
    parser.add_argument("--limit-s", type=float, default=32400.0, help="seconds to wait for each kernel (%(default)g)")
    parser.add_argument("--data", type=Path, default=Path("data/mini"), help="the rehearsal's competition folders")
    parser.add_argument("--runs", type=Path, default=Path("runs/mini"), help="the rehearsal's earlier outputs")
    return parser.parse_args(arguments)


@tool
def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    return run(root, parse_arguments(arguments))


if __name__ == "__main__":
    end(main)
