"""Progress of a running notebook: one bar over its cells on a terminal, one line at intervals elsewhere."""

import sys
import time

from tqdm import tqdm

_EVERY_S = 30.0


class Meter:
    """Progress display: the number of code cells done, the current heading, the time elapsed."""

    def __init__(self, name: str, total: int):
        self._name, self._total, self._done, self._heading = name, total, 0, ""
        self._start = self._shown = time.monotonic()
        self._bar = None
        if sys.stdout.isatty():
            form = "{desc}: {n_fmt}/{total_fmt} cells |{bar:24}| {elapsed}{postfix}"
            self._bar = tqdm(total=total, desc=name, bar_format=form, file=sys.stdout, dynamic_ncols=True)

    def __enter__(self) -> "Meter":
        if self._bar is None:
            print(f"{self._name}: {self._total} code cells, starting", flush=True)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is None:
            print(self._line(), flush=True)
        else:
            self._bar.close()

    def update(self, event: dict) -> None:
        """Update the display by one report of the child."""
        if event["what"] == "started":
            self._heading = event["heading"]
            if self._bar is not None:
                self._bar.set_postfix_str(self._heading[:40])
        elif event["what"] == "completed" and event["own"]:
            self._done += 1
            if self._bar is not None:
                self._bar.update(1)

    def tick(self) -> None:
        """Refresh the elapsed time; call it often."""
        now = time.monotonic()
        if self._bar is not None:
            self._bar.refresh()
        elif now - self._shown >= _EVERY_S:
            self._shown = now
            print(self._line(), flush=True)

    def _line(self) -> str:
        """The progress in one line."""
        return f"{self._name}: {self._done}/{self._total} code cells, {clock(time.monotonic() - self._start)}" + (
            f", at “{self._heading}”" if self._heading and self._done < self._total else ""
        )


def clock(seconds: float) -> str:
    """Seconds as people read them: 8.3 s, 4 min 05 s, 1 h 02 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
