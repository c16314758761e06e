"""The one exception for input that the project cannot accept: its parts are what, expected, got, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 2000  # characters of what comes from outside: what is wrong with a file may be its length


class BadInput(ValueError):
    """Raised before anything is written; its text is written for the person who can fix the input."""

    def __init__(self, what: str, *, expected: object, got: object, do: str):
        self.what, self.expected, self.got, self.do = what, expected, got, do
        super().__init__(f"{_cut(what)}\n  expected: {expected}\n  got:      {_cut(got)}\n  do this:  {do}")

    def __reduce__(self):
        """Survive the trip from a worker process: the default would call the class without its keywords."""
        return _rebuild, (self.what, self.expected, self.got, self.do)


def _cut(part: object) -> str:
    text = f"{part}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _rebuild(what: str, expected: object, got: object, do: str) -> BadInput:
    """A BadInput rebuilt from its four parts."""
    return BadInput(what, expected=expected, got=got, do=do)


def did_you_mean(name: object, known: Iterable[str], otherwise: str = "choose one of these") -> str:
    """What to do about an unknown name: write the known one that is nearest, where one is near."""
    near = get_close_matches(str(name), list(known), 1)
    return f"write {near[0]}, if you mean that" if near else otherwise


def shorten(items, limit: int = 5) -> str:
    """The first few items as text, and how many more there are."""
    items = [str(item) for item in items]
    more = f" … and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
