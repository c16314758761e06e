"""A sweep's file, read strictly: every error in it is reported, with its line, before anything starts.

question: which front end should L2 learn from?      the page and the ledger show it
notebook: "02"                                       a number or name
fixed: {baselines: false, overrides.epochs: 2}       parameters of every run
grid: {front_end: [small, pcen128], loss: [bce]}     all combinations; or instead of `grid` one of
list: [{preset: small_sed}, {overrides.average: swa}]    just these
random: {runs: 12, seed: 0, space: {overrides.mixup_p: {low: 0.0, high: 1.0}, loss: [bce, focal]}}
search: {runs: 12, seed: 0, space: …, pruner: median, storage: …}     Optuna's TPE; see build/sweeps/search.py
seeds: [1, 2]                                        repeats of each run
baseline: {front_end: small, loss: bce}              what the others are compared with; otherwise the first run
metric: bold                                         a tag of the ledger line that counts; otherwise the newest counts
promote: {replay: {fold: 0}, keep: 4}                first all runs cheaply, then the best 4, or those that `gain: 0.01`
cores: 1                                             that a run needs at least
resources: {GPU: 1}                                  that a run takes of a machine, or of a Dask worker

Wherever parameters are named, `overrides.<setting>` sets one of the network's plan (lib/learn/network/config.py). From
there on it goes by the setting's name, in tables too; a run's `overrides` parameter is joined from all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build.notebooks.parameters import STANDARD_PARAMETERS, parameters_of
from build.notebooks.values import OVERRIDES, convert_parameters
from build.project import ROOT
from build.sweeps.space import Range, Space, combinations, draw_points
from build.sweeps.yaml_lines import NUMBER, Lines, Types
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten

MODES = ("grid", "list", "random", "search")

PRUNERS = ("median", "none")

_KEYS: dict[str, Types] = {
    "question": str,
    "notebook": str,
    "fixed": dict,
    "grid": dict,
    "list": list,
    "random": dict,
    "search": dict,
    "seeds": list,
    "baseline": dict,
    "metric": str,
    "promote": dict,
    "cores": int,
    "resources": dict,
}

_RANDOM: dict[str, Types] = {"runs": int, "seed": int, "space": dict}

_SEARCH: dict[str, Types] = {**_RANDOM, "pruner": str, "storage": str}

_PROMOTE: dict[str, Types] = {"replay": dict, "keep": int, "gain": NUMBER}

_RANGE: dict[str, Types] = {"low": (*NUMBER, str), "high": (*NUMBER, str), "log": bool}  # 1e-3 is text to YAML


@dataclass(frozen=True)
class Search:
    """A search: the number of points of the space to try, each chosen by the scores of the earlier ones."""

    runs: int
    space: Space
    seed: int = 0
    pruner: str = "median"
    storage: str = ""  # a database's URL, where machines without a common folder search together


def _replay_gain() -> float:
    """The gain by which a replay promotes."""
    from lib.judge.studies.replay import ReplaySettings  # brings scipy, which a check of the file need not wait for

    return ReplaySettings.promote


@dataclass(frozen=True)
class Promotion:
    """Parameters that a replay changes, and the rule for full runs: the best few, or all that gain so much."""

    replay: dict
    keep: int | None = None
    gain: float = field(default_factory=_replay_gain)


@dataclass(frozen=True)
class Sweep:
    """The runs that a file requests, all parameters in their types; settings of `overrides` by their own names."""

    name: str
    text: str  # the fingerprint of the file
    question: str
    notebook: Path
    fixed: dict
    points: tuple[dict, ...]  # the parameters of each run but its seed, the baseline first; of a search that alone
    search: Search | None = None
    seeds: tuple[int, ...] = ()
    metric: str = ""
    promote: Promotion | None = None
    cores: int = 1
    resources: dict[str, float] = field(default_factory=dict)

    @property
    def varied(self) -> tuple[str, ...]:
        """The parameters by which runs differ, the seed last."""
        space = self.search.space if self.search else ()
        names = dict.fromkeys(name for point in self.points for name in point)
        differ = [name for name in names if any(point.get(name) != self.fixed.get(name) for point in self.points)]
        return tuple(dict.fromkeys([*differ, *space, *(["seed"] if self.seeds else [])]))

    def repeats(self, point: dict) -> list[dict]:
        """The point once for each seed."""
        return [point | {"seed": seed} for seed in self.seeds] or [point]


def read_sweep(path: Path, sources: Path = ROOT / "notebooks_src") -> Sweep:
    """The sweep that a file describes; unknown keys and parameters, misfits and double runs are errors."""
    lines = Lines(path)
    values = lines.mapping(lines.value, _KEYS, ("question", "notebook"))
    modes = [mode for mode in MODES if mode in values]
    if len(modes) != 1:
        raise lines.wrong(
            what="it does not name what to vary",
            expected=f"exactly one of {', '.join(MODES)}",
            got=" and ".join(modes) or "none of them",
            do="keep one",
        )
    known = sorted(sources.glob("[0-9]*.py"))
    found = [source for source in known if values["notebook"] in (source.stem, source.stem.split("_")[0])]
    if len(found) != 1:
        raise lines.wrong(
            "notebook",
            what="there is no such notebook",
            expected='a number, as "02", or a name',
            got=values["notebook"],
            do=f"choose of {', '.join(each.stem for each in known)}",
        )
    return _Reader(lines, found[0]).sweep(values, modes[0])


def join_overrides(parameters: Mapping[str, object], known: Sequence[str]) -> dict[str, object]:
    """The parameters as a notebook takes them: all that are not among the known become one text, `overrides`."""
    own = {name: value for name, value in parameters.items() if name in known}
    settings = [f"{name}={value}" for name, value in parameters.items() if name not in own]
    return own | ({OVERRIDES: ",".join(settings)} if settings else {})


class _Reader:
    """One file, read against the parameters of its notebook."""

    def __init__(self, lines: Lines, notebook: Path):
        self.lines, self.notebook, self.known = lines, notebook, parameters_of(notebook)

    def sweep(self, values: dict, mode: str) -> Sweep:
        """The sweep, put together from its parts."""
        fixed = self._settings(values.get("fixed", {}), "fixed")
        seeds = self._choices(values.get("seeds", []), "seeds", "seed")
        search = self._search(values["search"]) if mode == "search" else None
        own = [] if search else self._points(values[mode], mode)
        points = [fixed | point for point in own]
        promote = self._promotion(values["promote"], mode, fixed) if "promote" in values else None
        self._refuse_double(points, mode)
        if "baseline" in values:
            first = fixed | self._settings(values["baseline"], "baseline")
            points = [first, *(point for point in points if point != first)]
        sweep = Sweep(
            name=self.lines.path.stem,
            text=fingerprint.of_text(self.lines.text),
            question=values["question"],
            notebook=self.notebook,
            fixed=fixed,
            points=tuple(points),
            search=search,
            seeds=seeds,
            metric=values.get("metric", ""),
            promote=promote,
            cores=int(self._positive(values.get("cores", 1), "cores")),
            resources={name: self._positive(n, "resources", name) for name, n in values.get("resources", {}).items()},
        )
        self._check_together(sweep, mode)
        varies = set(search.space) if search else {name for point in own for name in point}
        self._refuse_contradictions(varies, mode, sweep)
        return sweep

    def _check_together(self, sweep: Sweep, mode: str) -> None:
        """Refuse a run whose parameters do not go together; of a search, one for each choice and end of a range."""
        points = list(sweep.points)
        if sweep.search:
            ends = {name: (e.low, e.high) if isinstance(e, Range) else e for name, e in sweep.search.space.items()}
            first = {name: values[0] for name, values in ends.items()}
            points = [sweep.fixed | first | {name: value} for name, values in ends.items() for value in values]
        if sweep.promote:
            points += [point | sweep.promote.replay for point in points]
        for point in points:
            with self.lines.within(mode):
                convert_parameters(self.notebook, join_overrides(point, list(self.known)))

    def _settings(self, values: object, *place: object) -> dict:
        """Parameters in their types, settings of `overrides` by their own names; folders cannot be set."""
        if not isinstance(values, dict):
            raise self.lines.wrong(
                *place, what="no parameters are set", expected="name: value", got=repr(values), do="write name: value"
            )
        found: dict[str, object] = {}
        for name, value in values.items():
            with self.lines.within(*place, name):
                if name in STANDARD_PARAMETERS:
                    raise BadInput("a sweep sets this by itself", expected="other parameters", got=name, do="drop it")
                new = self._overrides(name, value) or convert_parameters(self.notebook, {name: value})
                if double := sorted(set(found) & set(new)):
                    raise BadInput("a setting stands twice", expected="once", got=shorten(double), do="drop one")
                found |= new
        return found

    def _overrides(self, name: str, value: object) -> dict:
        """The settings of the network's plan that the key sets; empty where it is a parameter of another kind."""
        setting = self._setting_of(name)
        if OVERRIDES not in self.known or (setting == name and name != OVERRIDES):
            return {}
        from lib.learn.network.config import parse_settings  # brings numpy, which other notebooks need not wait for

        if isinstance(value, dict | list) or value is None:
            raise BadInput("no value of a setting", expected="a number, text, true or false", got=value, do="fix it")
        text = str(value) if name == OVERRIDES else f"{setting}={value}"
        return {own: self._setting_value(own, each) for own, each in parse_settings(text).items()}

    def _setting_value(self, name: str, value: object) -> object:
        """The value in the setting's type; what the notebook could not read again from text is an error."""
        from lib.learn.network.config import setting_value

        if name in self.known:
            raise BadInput(
                f"{name} is a parameter of the notebook", expected="settings without one", got=name, do=f"set {name}: …"
            )
        return setting_value(name, value)

    def _setting_of(self, name: str) -> str:
        """The name that a key goes by from here on: the setting's own where it is `overrides.<setting>`."""
        return name.removeprefix(f"{OVERRIDES}.")

    def _choices(self, values: object, *place: str) -> tuple:
        """The values of the parameter that the place ends with, each once."""
        name = place[-1]
        if not isinstance(values, list):
            raise self.lines.wrong(
                *place,
                what="these are no values to try",
                expected="a list, as in [1, 2]",
                got=repr(values),
                do="write a list",
            )
        if name == OVERRIDES:
            raise self.lines.wrong(
                *place,
                what="overrides cannot be varied as a whole",
                expected=f"settings, as in {OVERRIDES}.mixup_p: [0.0, 0.5]",
                got=repr(values),
                do="name each setting, or write the runs as a list",
            )
        found = tuple(self._settings({name: value}, *place[:-1])[self._setting_of(name)] for value in values)
        if double := [value for number, value in enumerate(found) if value in found[:number]]:
            raise self.lines.wrong(
                *place, what="a value stands twice", expected="each once", got=shorten(double), do="drop one"
            )
        return found

    def _points(self, values: Any, mode: str) -> list[dict]:
        """The parameters of each run of a grid, a list or a random draw, but for the fixed ones."""
        if mode == "list":
            points = [self._settings(point, mode, number) for number, point in enumerate(values, start=1)]
        elif mode == "grid":
            choices = {name: self._choices(each, mode, name) for name, each in values.items()}
            points = combinations({self._setting_of(name): each for name, each in choices.items()})
        else:
            values = self.lines.mapping(values, _RANDOM, ("runs", "space"), mode)
            runs, space = self._positive(values["runs"], mode, "runs"), self._space(values["space"], mode)
            with self.lines.within(mode):
                points = draw_points(space, int(runs), values.get("seed", 0))
        if not values or not points:
            raise self.lines.wrong(mode, what="nothing varies", expected="a run or more", got="none", do="name values")
        return points

    def _space(self, values: dict, mode: str) -> Space:
        """Each parameter's choices, or its range."""
        space: dict[str, tuple | Range] = {}
        for key, each in values.items():
            place, name = (mode, "space", key), self._setting_of(key)
            if not isinstance(each, dict):
                space[name] = self._choices(each, *place)
                continue
            limits = self.lines.mapping(each, _RANGE, ("low", "high"), *place)
            if key in self.known and self.known[key].base not in ("int", "float"):
                raise self.lines.wrong(
                    *place, what="only numbers have a range", expected="a list", got=each, do="list the choices"
                )
            low, high = (self._settings({key: limits[end]}, *place[:-1])[name] for end in ("low", "high"))
            with self.lines.within(*place):
                space[name] = Range(low, high, limits.get("log", False), whole=isinstance(low, int))
        if empty := [name for name, each in space.items() if each == ()] or ([] if space else ["space"]):
            raise self.lines.wrong(
                mode, "space", what="nothing varies", expected="values", got=f"none of {empty[0]}", do="name some"
            )
        return space

    def _search(self, values: dict) -> Search:
        """The search, its space read."""
        values = self.lines.mapping(values, _SEARCH, ("runs", "space"), "search")
        if values.get("pruner", "none") not in PRUNERS:
            raise self.lines.wrong(
                "search",
                "pruner",
                what="there is no such pruner",
                expected=", ".join(PRUNERS),
                got=values["pruner"],
                do="choose one of these",
            )
        self._positive(values["runs"], "search", "runs")
        return Search(**values | {"space": self._space(values["space"], "search")})

    def _promotion(self, values: dict, mode: str, fixed: dict) -> Promotion:
        """The replay and the rule that ends it."""
        values = self.lines.mapping(values, _PROMOTE, ("replay",), "promote")
        if mode == "search" or {"keep", "gain"} <= set(values):
            raise self.lines.wrong(
                "promote",
                what="that is one rule too many",
                got=", ".join((mode, *values)),
                do="drop one",
                expected="a search; or a replay, and keep or gain",
            )
        if "keep" in values:
            self._positive(values["keep"], "promote", "keep")
        replay = self._settings(values["replay"], "promote", "replay")
        if fixed | replay == fixed:
            raise self.lines.wrong(
                "promote",
                "replay",
                what="the replay is the full run",
                got=replay,
                expected="what makes it cheap",
                do="set fewer folds or steps",
            )
        return Promotion(**values | {"replay": replay})

    def _refuse_double(self, points: list[dict], mode: str) -> None:
        """Refuse a run that equals another."""
        for number, point in enumerate(points):
            if point in points[:number]:
                first = points.index(point) + 1
                raise self.lines.wrong(
                    mode,
                    number + 1,
                    what=f"run {number + 1} is run {first} again",
                    got=point,
                    expected="each once; `seeds` repeats runs",
                    do="drop one",
                )

    def _refuse_contradictions(self, varies: set[str], mode: str, sweep: Sweep) -> None:
        """Refuse parameters that are set in two places."""
        places = {
            "fixed": set(sweep.fixed),
            "seeds": {"seed"} if sweep.seeds else set(),
            "promote": set(sweep.promote.replay) if sweep.promote else set(),
        }
        for place, names in places.items():
            if double := sorted(varies & names):
                raise self.lines.wrong(
                    place,
                    what=f"it sets what {mode} varies",
                    expected="each in one place",
                    got=shorten(double),
                    do="drop one of the two",
                )
        if sweep.search and sweep.seeds:
            raise self.lines.wrong(
                "seeds",
                what="a search makes each run once",
                expected="one seed, in fixed",
                got=shorten(sweep.seeds),
                do="drop seeds",
            )

    def _positive(self, value: object, *place: str) -> float:
        """The number, which must be above zero."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise self.lines.wrong(
                *place, what="it counts nothing", expected="a number above 0", got=repr(value), do="set it above 0"
            )
        return value
