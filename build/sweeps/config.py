"""A sweep's file, read strictly: all that is wrong with it is said before anything starts, with the line it stands in.

question: which front end should L2 learn from?      what the page and the ledger say was asked
notebook: "02"                                       a number or name
fixed: {baselines: false, epochs: 2}                 parameters of every run
grid: {front_end: [small, pcen128], loss: [bce]}     all combinations; or instead of `grid` one of
list: [{epochs: 2}, {epochs: 4, average: swa}]       just these
random: {runs: 12, seed: 0, space: {mixup_p: {low: 0.0, high: 1.0}, loss: [bce, focal]}}
search: {runs: 12, seed: 0, space: …, pruner: median, storage: …}     Optuna's TPE; see sweep_search.py
seeds: [1, 2]                                        repeats of each run
baseline: {front_end: small, loss: bce}              what the others are compared with; otherwise the first run
metric: bold                                         a tag of the ledger line that counts; otherwise the newest counts
promote: {replay: {epochs: 1}, keep: 4}              first all runs cheaply, then the best 4, or those that `gain: 0.01`
cores: 1                                             that a run needs at least
resources: {GPU: 1}                                  that a run takes of a machine, or of a Dask worker
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import yaml

from build.notebooks.source import STANDARD_PARAMETERS, parameters_of, typed
from build.project import ROOT
from build.sweeps.record import STAGES, RunRecord
from lib.core import fingerprint
from lib.core.errors import BadInput, shortened
from lib.judge.effects import value_name, varying
from lib.judge.studies.replay import ReplaySettings

NUMBER = (int, float)
_TYPES = {
    str: "text, in quotes where it looks like a number",
    dict: "keys with values",
    list: "a list, as in [1, 2]",
    int: "a whole number",
    NUMBER: "a number",
    (*NUMBER, str): "a number",
    bool: "true or false",
}


class Lines:
    """What the file says, and in which line it says it."""

    def __init__(self, path: Path):
        self.path, self._line = path, {(): 1}
        try:
            self.text = path.read_text(encoding="utf-8")
            node = yaml.compose(self.text, yaml.SafeLoader)
            self._loader = yaml.SafeLoader("")
            self.value = self._value(node, ()) if node else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise BadInput(
                f"{path} cannot be read",
                expected="a YAML file",
                got=" ".join(str(error).split()),
                do="mend it; sweeps/ has some that can be read",
            ) from error

    def at(self, *field: object) -> str:
        """Where a field stands, for people: the file, the line, the field's name."""
        line = next(self._line[field[:n]] for n in range(len(field), -1, -1) if field[:n] in self._line)
        return f"{self.path.name} line {line}" + (f", {'.'.join(map(str, field))}" if field else "")

    def wrong(self, *field: object, what: str, expected: object, got: object, do: str) -> BadInput:
        """The error to raise about a field."""
        return BadInput(f"{self.at(*field)}: {what}", expected=expected, got=got, do=do)

    def mapping(self, said: object, keys: dict[str, object], needed: tuple[str, ...], *field: object) -> dict:
        """What a field says, its keys known, their values of the types that belong to them, none missing."""
        if not isinstance(said, dict):
            raise self.wrong(
                *field,
                what="keys with values belong here",
                expected=", ".join(keys),
                got=repr(said),
                do="mend it; sweeps/ has files that can be read",
            )
        for name, value in said.items():
            if name not in keys:
                raise self.wrong(
                    *field,
                    name,
                    what="there is no such key",
                    expected=f"one of {', '.join(keys)}",
                    got=name,
                    do="correct it",
                )
            if not isinstance(value, keys[name]) or (isinstance(value, bool) and keys[name] is not bool):
                raise self.wrong(
                    *field,
                    name,
                    what="it is of another type",
                    expected=_TYPES[keys[name]],
                    got=repr(value),
                    do="correct the value",
                )
        if missing := [name for name in needed if name not in said]:
            raise self.wrong(
                *field,
                what="something is missing",
                expected=", ".join(missing),
                got=", ".join(said) or "nothing",
                do="add it",
            )
        return said

    @contextmanager
    def within(self, *field: object) -> Iterator[None]:
        """Errors of the block say where in the file their cause stands."""
        try:
            yield
        except BadInput as error:
            raise self.wrong(*field, what=error.what, expected=error.expected, got=error.got, do=error.do) from error

    def _value(self, node: yaml.Node, field: tuple) -> object:
        """The node as plain Python values; a key that is no text or stands twice is an error."""
        self._line.setdefault(field, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(part, (*field, number)) for number, part in enumerate(node.value, start=1)]
        if not isinstance(node, yaml.MappingNode):
            return self._loader.construct_object(node)
        found = {}
        for key, value in node.value:
            name, line = self._loader.construct_object(key), key.start_mark.line + 1
            if not isinstance(name, str) or name in found:
                raise BadInput(
                    f"{self.path.name} line {line}: {key.value} is not a key here",
                    expected="a name, once",
                    got="it stands twice" if name in found else repr(name),
                    do="mend the line",
                )
            self._line[*field, name] = line
            found[name] = self._value(value, (*field, name))
        return found


@dataclass(frozen=True)
class Range:
    """The numbers from low to high, both included; drawn evenly by size, or by magnitude where `log` is set."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self):
        """Refuse what holds no number."""
        if not self.low < self.high or not math.isfinite(self.high - self.low) or (self.log and self.low <= 0):
            raise BadInput(
                "not a range of numbers",
                expected="low < high, and low > 0 where log is true",
                got=f"low {self.low:g}, high {self.high:g}, log {self.log}",
                do="mend it",
            )

    def draw(self, rng: np.random.Generator) -> float | int:
        """One number of the range; of a whole range each whole number is as likely."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole and not self.log else (self.low, self.high)
        value = math.exp(rng.uniform(math.log(low), math.log(high))) if self.log else rng.uniform(low, high)
        return min(max(round(value), self.low), self.high) if self.whole else float(value)


Space = Mapping[str, tuple | Range]


def combinations(grid: Mapping[str, tuple]) -> list[dict]:
    """Every combination of the values, the last name varying fastest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def drawn(space: Space, runs: int, seed: int) -> list[dict]:
    """So many different points of the space, the same for the same seed; a space with fewer is an error."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(100 * runs):
        point = {
            name: values.draw(rng) if isinstance(values, Range) else values[rng.integers(len(values))]
            for name, values in space.items()
        }
        if point not in found:
            found.append(point)
        if len(found) == runs:
            return found
    raise BadInput(
        "the space has too few points",
        expected=f"{runs} different ones",
        got=len(found),
        do="ask for fewer runs, or try all of them as a grid",
    )


WAYS = ("grid", "list", "random", "search")
PRUNERS = ("median", "none")
_KEYS = {
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
_RANDOM = {"runs": int, "seed": int, "space": dict}
_SEARCH = {**_RANDOM, "pruner": str, "storage": str}
_PROMOTE = {"replay": dict, "keep": int, "gain": NUMBER}
_RANGE = {"low": (*NUMBER, str), "high": (*NUMBER, str), "log": bool}  # 1e-3 is text to YAML


@dataclass(frozen=True)
class Search:
    """How many points of the space are tried, each chosen by what the earlier ones scored."""

    runs: int
    space: Space
    seed: int = 0
    pruner: str = "median"
    storage: str = ""  # a database's URL, where machines without a common folder search together


@dataclass(frozen=True)
class Promotion:
    """What a replay changes, and which of the replayed are run in full: the best few, or all that gain so much."""

    replay: dict
    keep: int | None = None
    gain: float = ReplaySettings.promote


@dataclass(frozen=True)
class Sweep:
    """What a file asks for, all parameters in their types."""

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
    said = lines.mapping(lines.value, _KEYS, ("question", "notebook"))
    ways = [way for way in WAYS if way in said]
    if len(ways) != 1:
        raise lines.wrong(
            what="it does not say what to vary",
            expected=f"exactly one of {', '.join(WAYS)}",
            got=" and ".join(ways) or "none of them",
            do="keep one",
        )
    known = sorted(sources.glob("[0-9]*.py"))
    found = [source for source in known if said["notebook"] in (source.stem, source.stem.split("_")[0])]
    if len(found) != 1:
        raise lines.wrong(
            "notebook",
            what="there is no such notebook",
            expected='a number, as "02", or a name',
            got=said["notebook"],
            do=f"choose of {', '.join(each.stem for each in known)}",
        )
    return _Reader(lines, found[0]).sweep(said, ways[0])


class _Reader:
    """One file, read against the parameters of its notebook."""

    def __init__(self, lines: Lines, notebook: Path):
        self.lines, self.notebook, self.known = lines, notebook, parameters_of(notebook)

    def sweep(self, said: dict, way: str) -> Sweep:
        """The sweep, put together from its parts."""
        fixed = self._settings(said.get("fixed", {}), "fixed")
        seeds = self._choices(said.get("seeds", []), "seeds", "seed")
        search = self._search(said["search"]) if way == "search" else None
        points = [] if search else [fixed | point for point in self._points(said[way], way)]
        promote = self._promotion(said["promote"], way, fixed) if "promote" in said else None
        self._refuse_double(points, way)
        if "baseline" in said:
            first = fixed | self._settings(said["baseline"], "baseline")
            points = [first, *(point for point in points if point != first)]
        sweep = Sweep(
            name=self.lines.path.stem,
            text=fingerprint.of_text(self.lines.text),
            question=said["question"],
            notebook=self.notebook,
            fixed=fixed,
            points=tuple(points),
            search=search,
            seeds=seeds,
            metric=said.get("metric", ""),
            promote=promote,
            cores=self._positive(said.get("cores", 1), "cores"),
            resources={name: self._positive(n, "resources", name) for name, n in said.get("resources", {}).items()},
        )
        self._refuse_contradictions(said, way, sweep)
        return sweep

    def _settings(self, said: object, *place: object) -> dict:
        """Parameters in their types; the folders are the sweep's own to set."""
        if not isinstance(said, dict):
            raise self.lines.wrong(
                *place, what="no parameters are set", expected="name: value", got=repr(said), do="mend it"
            )
        found = {}
        for name, value in said.items():
            with self.lines.within(*place, name):
                if name in STANDARD_PARAMETERS:
                    raise BadInput("a sweep sets this by itself", expected="other parameters", got=name, do="drop it")
                found |= typed(self.notebook, {name: value})
        return found

    def _choices(self, said: object, *place: str) -> tuple:
        """The values of the parameter that the place ends with, each once."""
        if not isinstance(said, list):
            raise self.lines.wrong(
                *place, what="these are no values to try", expected="a list, as in [1, 2]", got=repr(said), do="mend it"
            )
        values = tuple(self._settings({place[-1]: value}, *place[:-1])[place[-1]] for value in said)
        if double := [value for number, value in enumerate(values) if value in values[:number]]:
            raise self.lines.wrong(
                *place, what="a value stands twice", expected="each once", got=shortened(double), do="drop one"
            )
        return values

    def _points(self, said: object, way: str) -> list[dict]:
        """What each run of a grid, a list or a random draw sets beside what is fixed."""
        if way == "list":
            points = [self._settings(point, way, number) for number, point in enumerate(said, start=1)]
        elif way == "grid":
            points = combinations({name: self._choices(values, way, name) for name, values in said.items()})
        else:
            said = self.lines.mapping(said, _RANDOM, ("runs", "space"), way)
            runs, space = self._positive(said["runs"], way, "runs"), self._space(said["space"], way)
            with self.lines.within(way):
                points = drawn(space, runs, said.get("seed", 0))
        if not said or not points:
            raise self.lines.wrong(way, what="nothing varies", expected="a run or more", got="none", do="name values")
        return points

    def _space(self, said: dict, way: str) -> Space:
        """Each parameter's choices, or its range."""
        space = {}
        for name, values in said.items():
            place = (way, "space", name)
            if not isinstance(values, dict):
                space[name] = self._choices(values, *place)
                continue
            limits = self.lines.mapping(values, _RANGE, ("low", "high"), *place)
            if name in self.known and self.known[name].kind not in ("int", "float"):
                raise self.lines.wrong(
                    *place, what="only numbers have a range", expected="a list", got=values, do="list the choices"
                )
            low, high = (self._settings({name: limits[end]}, *place[:-1])[name] for end in ("low", "high"))
            with self.lines.within(*place):
                space[name] = Range(low, high, limits.get("log", False), self.known[name].kind == "int")
        if empty := [name for name, values in space.items() if values == ()] or ([] if space else ["space"]):
            raise self.lines.wrong(
                way, "space", what="nothing varies", expected="values", got=f"none of {empty[0]}", do="name some"
            )
        return space

    def _search(self, said: dict) -> Search:
        """The search, its space read."""
        said = self.lines.mapping(said, _SEARCH, ("runs", "space"), "search")
        if said.get("pruner", "none") not in PRUNERS:
            raise self.lines.wrong(
                "search",
                "pruner",
                what="there is no such pruner",
                expected=", ".join(PRUNERS),
                got=said["pruner"],
                do="choose one of these",
            )
        self._positive(said["runs"], "search", "runs")
        return Search(**said | {"space": self._space(said["space"], "search")})

    def _promotion(self, said: dict, way: str, fixed: dict) -> Promotion:
        """The replay and the rule that ends it."""
        said = self.lines.mapping(said, _PROMOTE, ("replay",), "promote")
        if way == "search" or {"keep", "gain"} <= set(said):
            raise self.lines.wrong(
                "promote",
                what="that is one rule too many",
                got=", ".join((way, *said)),
                do="drop one",
                expected="a search; or a replay, and keep or gain",
            )
        if "keep" in said:
            self._positive(said["keep"], "promote", "keep")
        replay = self._settings(said["replay"], "promote", "replay")
        if fixed | replay == fixed:
            raise self.lines.wrong(
                "promote",
                "replay",
                what="the replay is the full run",
                got=replay,
                expected="what makes it cheap",
                do="set fewer folds or steps",
            )
        return Promotion(**said | {"replay": replay})

    def _refuse_double(self, points: list[dict], way: str) -> None:
        """Refuse a run that is another again."""
        for number, point in enumerate(points):
            if point in points[:number]:
                first = points.index(point) + 1
                raise self.lines.wrong(
                    way,
                    number + 1,
                    what=f"run {number + 1} is run {first} again",
                    got=point,
                    expected="each once; `seeds` repeats runs",
                    do="drop one",
                )

    def _refuse_contradictions(self, said: dict, way: str, sweep: Sweep) -> None:
        """Refuse parameters that are set in two places."""
        varies = {name for point in said[way] for name in point} if way == "list" else said[way].get("space", said[way])
        for place, names in (
            ("fixed", sweep.fixed),
            ("seeds", ["seed"] if sweep.seeds else ()),
            ("promote", sweep.promote.replay if sweep.promote else ()),
        ):
            if double := sorted(set(varies) & set(names)):
                raise self.lines.wrong(
                    place,
                    what=f"it sets what {way} varies",
                    expected="each in one place",
                    got=shortened(double),
                    do="drop one of the two",
                )
        if sweep.search and sweep.seeds:
            raise self.lines.wrong(
                "seeds",
                what="a search makes each run once",
                expected="one seed, in fixed",
                got=shortened(sweep.seeds),
                do="drop seeds",
            )

    def _positive(self, value: object, *place: str) -> float:
        """The number, which must be above zero."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise self.lines.wrong(
                *place, what="it counts nothing", expected="a number above 0", got=repr(value), do="mend it"
            )
        return value


_NO_EFFECT = {"seed", "output_dir"}  # what luck and bookkeeping set


@dataclass(frozen=True, eq=False)
class Setting:
    """The runs of one stage that ended well and differ by their seed alone."""

    name: str
    records: tuple[RunRecord, ...]

    @property
    def score(self) -> float:
        """The mean over its seeds."""
        return float(np.mean([record.score for record in self.records]))


def effective(record: RunRecord) -> dict:
    """What a run set, but for its seed and its place."""
    return {name: value for name, value in record.parameters.items() if name not in _NO_EFFECT}


def varied(records: Sequence[RunRecord]) -> tuple[str, ...]:
    """The parameters that vary within a stage; what a replay changes for all is none of them."""
    stages = [[effective(record) for record in records if record.stage == stage] for stage in STAGES]
    return tuple(dict.fromkeys(name for each in stages for name in varying(each)))


def settings_of(sweep: Mapping, records: Sequence[RunRecord]) -> tuple[dict[str, list[Setting]], bool]:
    """The settings of each stage, the baseline's or whatever stands in for it first; and whether the baseline ran.

    The records come by their numbers.
    """
    by_stage: dict[str, dict[str, list[RunRecord]]] = {}
    for record in records:
        if record.status == "done" and record.score is not None:
            key = repr(sorted(effective(record).items()))
            by_stage.setdefault(record.stage, {}).setdefault(key, []).append(record)
    asked = next(iter(sweep["points"] or [effective(record) for record in records]), {})
    replay = (sweep["promote"] or {}).get("replay", {})
    names = varied(records)
    found, all_ran = {}, True
    for stage, groups in by_stage.items():
        want = {
            key: value
            for key, value in (asked | (replay if stage == "replay" else {})).items()
            if key not in _NO_EFFECT
        }
        order = sorted(groups.values(), key=lambda group: effective(group[0]) != want)
        ran = effective(order[0][0]) == want
        all_ran &= ran
        found[stage] = [
            Setting(_name(group[0], order[0][0], names, ran and n == 0), tuple(group)) for n, group in enumerate(order)
        ]
    return found, all_ran


def _name(record: RunRecord, reference: RunRecord, names: Sequence[str], baseline: bool) -> str:
    """How sentences call a setting: its first run's number, and what it sets otherwise than the reference."""
    if baseline:
        return "the baseline"
    ours, theirs = effective(record), effective(reference)
    other = [f"{name}={value_name(ours[name])}" for name in names if name in ours and ours[name] != theirs.get(name)]
    return f"run {record.number}" + (f" ({', '.join(other)})" if other else "")
