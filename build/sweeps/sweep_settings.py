"""The settings of a sweep: runs that differ by their seed alone are one setting, tried several times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from build.sweeps.sweep_record import STAGES, RunRecord
from lib.judge.effects import value_name, varying

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
        want = {key: value for key, value in (asked | (replay if stage == "replay" else {})).items()
                if key not in _NO_EFFECT}  # fmt: skip
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
