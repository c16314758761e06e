"""What a notebook does after its last submission is written: worth seeing, and never worth the submission."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Inputs = ParamSpec("Inputs")
View = TypeVar("View")


def never_fails(view: Callable[Inputs, View]) -> Callable[Inputs, View | None]:
    """The function, made to print a line with the reason and return None where it would raise.

    A notebook that raises may get no score, also after a valid submission.
    """

    @wraps(view)
    def attempt(*arguments: Inputs.args, **named: Inputs.kwargs) -> View | None:
        try:
            return view(*arguments, **named)
        except Exception as error:
            print(f"ALARM: no {view.__name__}: {type(error).__name__}: {' '.join(f'{error}'.split())}", flush=True)
            return None

    return attempt
