"""A call in a thread of its own that nobody has to wait for: the process ends without it, which a pool's would not."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Made = TypeVar("Made")


def in_daemon_thread(work: Callable[Given, Made], *arguments: Given.args, **named: Given.kwargs) -> Future[Made]:
    """The future result of the call; no memory for another thread is a MemoryError in it."""
    future: Future[Made] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments, **named))
        except BaseException as error:
            future.set_exception(error)

    try:
        Thread(target=run, daemon=True).start()
    except RuntimeError as error:
        future.set_exception(MemoryError(f"{error}"))
    return future
