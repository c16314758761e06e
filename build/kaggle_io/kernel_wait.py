"""Waiting for a version to end: a line now and then, trouble on the way outlived, a time limit kept."""

from build.kaggle_io import client as kaggle_client
from build.kaggle_io.client import KaggleTrouble
from build.kaggle_io.push import StillUnknown
from build.kaggle_io.push_log import Pushed
from build.kaggle_io.versions import FAILED, Status, status_of

LOOK_EVERY_S, SAY_EVERY_S = 15.0, 60.0
_REFUSED = (400, 401, 403, 404)


def ended(api, pushed: Pushed, deadline_s: float) -> Status:
    """The status that the version ended with: COMPLETE, or one of FAILED."""
    started = said = kaggle_client.clock()
    shown = None
    while True:
        status = _status(api, pushed)
        now = kaggle_client.clock()
        if status and (status.name != shown or now - said >= SAY_EVERY_S):
            shown, said = status.name, now
            print(f"  {(now - started) / 60:6.1f} min  {pushed.kernel} version {pushed.version}: {shown}", flush=True)
        if status and (status.name == "COMPLETE" or status.name in FAILED):
            return status
        if now + LOOK_EVERY_S > deadline_s:
            raise StillUnknown(
                f"{pushed.kernel} version {pushed.version} has not ended",
                expected="COMPLETE within the time limit",
                got=status.name if status else "no answer",
                do=f"run the same command again to go on waiting, or look at {pushed.url}",
            )
        kaggle_client.sleep(LOOK_EVERY_S)


def _status(api, pushed: Pushed) -> Status | None:
    """The status now, or None where Kaggle cannot be reached for the moment."""
    try:
        return status_of(api, pushed.kernel, pushed.version)
    except KaggleTrouble as trouble:
        if trouble.status in _REFUSED:
            raise StillUnknown(
                f"{pushed.kernel} version {pushed.version} is on Kaggle, and its status cannot be read",
                expected="a status",
                got=trouble.got,
                do=f"{trouble.do}; the same command goes on waiting; the run is at {pushed.url}",
            ) from None
        print(f"  {trouble.what}: {trouble.got}; the run goes on, so does the waiting", flush=True)
        return None
