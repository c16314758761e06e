"""One file into Kaggle's store by the client's resumable upload: what arrived before an interruption is kept."""

import contextlib
import io
import re
import sys
from pathlib import Path

import requests
from kagglesdk.blobs.types.blob_api_service import ApiBlobType, ApiStartBlobUploadRequest

from build.kaggle_io import client as kaggle_client
from build.kaggle_io.client import ask, reason_in, redacted
from lib.core.errors import BadInput

_ATTEMPTS = 6
_PAUSE_S = 2.0
_PASSING = (408, 429)  # of the statuses 400 to 499, those that do not end an upload


def upload(api, path: Path, context) -> str:
    """The token of the file, all of whose bytes are now in the store.

    `context` is the client's ResumableUploadContext. The client's own loop is not used: where the store refuses a file
    it goes on, and the dataset is made without that file; and it remembers an expired upload for six days.
    """
    from kaggle.api.kaggle_api_extended import ResumableUploadResult  # late: importing it signs in

    state = context.new_resumable_file_upload(str(path.resolve()), _request(path))
    for attempt in range(1, _ATTEMPTS + 1):
        resumed = state.can_resume
        if not resumed:
            state.upload_initiated(ask(f"start the upload of {path.name}", lambda: _start(api, state), repeatable=True))
        address = state.start_blob_upload_response.create_url
        result = _send(api, path, address, resumed)
        if result == ResumableUploadResult.COMPLETE:
            state.upload_completed()
            return state.get_token()
        if result == ResumableUploadResult.FAILED and (end := _end_of(address, path)):
            state.cleanup()
            state.can_resume = False
            if not resumed:
                raise _not_uploaded(path, end)
            print(f"{path.name}: what was sent before has expired; from the beginning", flush=True)
        else:
            print(f"{path.name}: interrupted, attempt {attempt} of {_ATTEMPTS}", flush=True)
            kaggle_client.sleep(_PAUSE_S * attempt)
    raise _not_uploaded(path, f"{_ATTEMPTS} interruptions")


def _send(api, path: Path, address: str, resume: bool) -> object:
    """The client's result; what it prints of a failure is shown without addresses, which are as good as passwords."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        result = api.upload_complete(str(path), address, quiet=not sys.stderr.isatty(), resume=resume)
    if said.getvalue().strip():
        print(re.sub(r"\?\S+", "?…", redacted(said.getvalue().strip())), flush=True)
    return result


def _request(path: Path) -> ApiStartBlobUploadRequest:
    """What identifies the file to Kaggle and, for a resumption, to the client."""
    request = ApiStartBlobUploadRequest()
    request.type = ApiBlobType.DATASET
    request.name = path.name
    request.content_length = path.stat().st_size
    request.last_modified_epoch_seconds = int(path.stat().st_mtime)
    return request


def _start(api, state):
    """Kaggle's answer: where to send the file, and its token."""
    with api.build_kaggle_client() as kaggle:
        return kaggle.blobs.blob_api_client.start_blob_upload(state.start_blob_upload_request)


def _end_of(address: str, path: Path) -> str:
    """Why the store will never take more of this upload, in its own words; empty where it still would."""
    headers = {"Content-Length": "0", "Content-Range": f"bytes */{path.stat().st_size}"}
    answer = ask(
        f"ask after the upload of {path.name}", lambda: requests.put(address, headers=headers), repeatable=True
    )
    if not 400 <= answer.status_code < 500 or answer.status_code in _PASSING:
        return ""
    return redacted(f"HTTP {answer.status_code}, {reason_in(answer.text)}")


def _not_uploaded(path: Path, got: str) -> BadInput:
    return BadInput(
        f"{path.name} was not uploaded, and nothing was published",
        expected="the store to take it whole",
        got=got,
        do="run the same command again: what arrived is not sent twice",
    )
