"""The request that a push would send, made by the client itself from a built folder, without sending anything."""

import contextlib
import io
import json
from pathlib import Path
from types import SimpleNamespace

from build.kaggle_io.client import call_kaggle, client_class
from build.kaggle_io.versions import SOURCES
from lib.core.errors import BadInput
from lib.core.fingerprint import of_json, of_text


def build_request(folder: Path) -> dict:
    """The JSON that the client would post for this folder; what it only prints as a warning is an error."""
    kept: list = []

    def keep_request():
        """Stand in for the connection: keep the request where it would be sent."""
        calls = SimpleNamespace(save_kernel=kept.append)
        return contextlib.nullcontext(SimpleNamespace(kernels=SimpleNamespace(kernels_api_client=calls)))

    recorder = client_class()()
    recorder.build_kaggle_client = keep_request
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        call_kaggle(f"prepare {folder.name}", lambda: recorder.kernels_push(str(folder)), repeatable=True)
    if printed.getvalue().strip():
        raise BadInput(
            f"{folder.name}: the Kaggle client objects",
            expected="no warning about this folder",
            got=printed.getvalue().strip(),
            do="fix the metadata below kernel-metadata/ and build again",
        )
    return kept[0].to_dict()


def request_fingerprint(request: dict) -> str:
    """The fingerprint of everything in the request: the notebook, its sources, its settings."""
    return of_json(request)


def request_json(request: dict) -> str:
    """The request as JSON, with the notebook's text replaced by its size and hash."""
    text = request["text"]
    return json.dumps({**request, "text": f"<{len(text):,} bytes, sha {of_text(text)}>"}, indent=1, sort_keys=True)


def summarise(request: dict) -> str:
    """A summary of the request: size, hash, sources, privacy, internet, accelerator."""
    gpu, tpu = request.get("enableGpu"), request.get("enableTpu")
    shape = request.get("machineShape") or ("GPU" if gpu else "TPU" if tpu else "none, CPU")
    notebook = f"{len(request['text']) / 1000:.1f} kB, sha {of_text(request['text'])}"
    rows = {
        "notebook": f"{notebook}, request {request_fingerprint(request)}",
        "visible": "private" if request.get("isPrivate") else "PUBLIC",
        "internet": "ON" if request.get("enableInternet", True) else "off",
        "accelerator": shape,
        "image": request.get("dockerImage") or "Kaggle's latest",
        **{name: ", ".join(request.get(key, [])) or "none" for name, (key, _) in SOURCES.items()},
    }
    return "\n".join([request["slug"], *(f"  {name:<12} {value}" for name, value in rows.items())])
