"""What a sweep's runs are worth: the judge's rules over what they stored, and what each parameter did.

The unit is the setting: runs that differ by their seed alone are one setting, tried several times. A setting leads only
when its gain holds over redrawn recordings and over folds and seeds, both with all that was tried judged at once; for
among many that are no better one will always look so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from build.sweeps.config import Setting, effective, settings_of, varied
from build.sweeps.record import RunRecord
from build.sweeps.scores import Stored, stored
from lib.judge.bootstrap import Interval, bootstrap, interval
from lib.judge.compare import Difference, compare_all, gains_by_part, rank_correlation
from lib.judge.decisions import Decision, Evidence, decide
from lib.judge.effects import Effect, SweepRun, effects, setting_differences
from lib.judge.gains import Gain, paired_gains
from lib.judge.metric import judge
from lib.judge.studies.replay import ReplaySettings, triage
from lib.judge.subgroups import DECISIVE, fold_spread, slices
from lib.submit.budget import BUDGET_MINUTES, CONTEST_SOUNDSCAPES

STAND_IN = "stands in for the baseline, which has no score in this stage"


@dataclass(frozen=True, eq=False)
class Verdict:
    """The decision on a setting; its gain over the baseline by recordings and by folds and seeds, where known."""

    setting: Setting
    decision: Decision
    over_recordings: Difference | None = None
    over_folds: Gain | None = None
    interval: Interval | None = None  # of the setting's score


@dataclass(frozen=True, eq=False)
class Judged:
    """A sweep, judged: settings by stage, the baseline first where it ended well, and effects of parameters."""

    sweep: Mapping  # its sweep.json
    records: tuple[RunRecord, ...]
    names: tuple[str, ...]  # of the parameters that vary
    verdicts: dict[str, list[Verdict]]
    baseline_ran: bool
    effects: list[Effect]
    notes: tuple[str, ...]

    @property
    def last(self) -> list[Verdict]:
        """The verdicts of the stage that decides."""
        return self.verdicts.get("full") or self.verdicts.get("only") or []

    @property
    def tried(self) -> int:
        """How many settings were tried, in the stage with the most."""
        return max((len(each) for each in self.verdicts.values()), default=0)

    @property
    def repeated(self) -> bool:
        """True when some setting was tried with several seeds."""
        return any(len(each.setting.records) > 1 for stage in self.verdicts.values() for each in stage)

    def of(self, record: RunRecord) -> Verdict | None:
        """The verdict on the run's setting; None where it has no score."""
        every = (each for stage in self.verdicts.values() for each in stage)
        return next((each for each in every if record in each.setting.records), None)

    def decided(self, record: RunRecord) -> str:
        """The verdict on the run in a word; empty where it has no score."""
        found = self.of(record)
        return found.decision.verdict if found else ""


def judge_sweep(folder: Path, sweep: Mapping, records: Sequence[RunRecord]) -> Judged:
    """All verdicts and effects of a sweep; `sweep` is its sweep.json."""
    settings, baseline_ran = settings_of(sweep, records)
    tried = max((len(each) for each in settings.values()), default=1) - 1
    verdicts, trials, notes = {}, {}, []
    for stage, each in settings.items():
        kept, said = stored(folder, sweep, [record for setting in each for record in setting.records])
        trials[stage] = {record.id: trial(record, kept) for setting in each for record in setting.records}
        gained = _gains(each, trials[stage], tried)
        if stage == "replay":
            verdicts[stage] = _replayed(sweep, each, settings.get("full", []), gained)
        else:
            verdicts[stage] = _decided(each, kept, gained, baseline_ran)
        notes += said
    widest = list(max(trials.values(), key=len, default={}).values())
    found = effects(widest, widest[0].parameters) if widest else []
    return Judged(sweep, tuple(records), varied(records), verdicts, baseline_ran, found, tuple(dict.fromkeys(notes)))


def trial(record: RunRecord, kept: Stored | None) -> SweepRun:
    """A run as the effects see it; its scores by fold are made anew where all its scores are at hand."""
    per_fold = kept.per_fold(record.id) if kept and record.id in kept.scores else record.per_fold
    return SweepRun(effective(record), record.seed, record.score, per_fold)


def _replayed(sweep: Mapping, settings: list[Setting], full: list[Setting], gained: dict[str, Gain]) -> list[Verdict]:
    """The triage of a replay: who is fitted in full, who waits, who goes."""
    promotion = sweep["promote"] or {}
    limits = ReplaySettings()
    if promotion.get("gain") is not None:
        limits = replace(limits, promote=promotion["gain"])
    found = triage({setting.name: setting.score for setting in settings}, settings[0].name, limits)
    went_on = {_varied(setting, promotion) for setting in full}
    verdicts = []
    for setting in settings:
        gain, verdict = setting.score - settings[0].score, found[setting.name]
        if _varied(setting, promotion) in went_on:
            verdict, why = "promote", f"{gain:+.4f} in the replay: fitted in full"
        elif verdict == "promote" and full:
            verdict, why = "park", f"{gain:+.4f} in the replay, but others went first"
        else:
            why = f"{gain:+.4f} in the replay, which asks for {limits.promote:+.3f}, and kills below {limits.kill:+.3f}"
        verdicts.append(Verdict(setting, Decision(verdict, (why,)), over_folds=gained.get(setting.name)))
    return verdicts


def _varied(setting: Setting, promotion: Mapping) -> str:
    """What tells a setting from others in either stage: all it sets that the replay leaves alone."""
    replay = promotion.get("replay", {})
    return repr(sorted((name, value) for name, value in effective(setting.records[0]).items() if name not in replay))


def _gains(settings: list[Setting], trials: Mapping[str, SweepRun], tried: int) -> dict[str, Gain]:
    """Each further setting's gain over the first, run against run of one seed; none where no seed is shared."""
    tables = {}
    ours = {record.seed: trials[record.id] for record in settings[0].records}
    for setting in settings[1:]:
        pairs = [([ours[record.seed]], [trials[record.id]]) for record in setting.records if record.seed in ours]
        if pairs:
            tables[setting.name] = setting_differences(pairs)
    return dict(zip(tables, paired_gains(list(tables.values()), tried), strict=True))


def _decided(
    settings: list[Setting], kept: Stored | None, gained: dict[str, Gain], baseline_ran: bool
) -> list[Verdict]:
    """The rules' decision on each setting of the stage that counts."""
    first = settings[0]
    known = [setting for setting in settings if kept and any(record.id in kept.scores for record in setting.records)]
    evidence = _evidence(known, kept) if first in known else {}
    verdicts = []
    for setting in settings:
        gain, facts = gained.get(setting.name), evidence.get(setting.name)
        if setting is first:
            decision = Decision("park", ("what all others must beat" if baseline_ran else STAND_IN,))
        elif facts is None:
            decision = _unstored(setting, first, gain)
        else:
            decision = _within_luck(decide(facts), facts, gain)
        verdicts.append(Verdict(setting, decision, facts and facts.difference, gain, facts and facts.interval))
    return verdicts


def _evidence(settings: list[Setting], kept: Stored) -> dict[str, Evidence]:
    """What is known of each setting, the first being the reference; means over seeds."""
    runs = {setting.name: [record.id for record in setting.records if record.id in kept.scores] for setting in settings}
    of_run = {run: judge(kept.labels, kept.scores[run]).macro for each in runs.values() for run in each}
    drawn_run = bootstrap(kept.labels, {run: kept.scores[run] for run in of_run})
    macro = {name: float(np.mean([of_run[run] for run in each])) for name, each in runs.items()}
    drawn = {name: np.mean([drawn_run[run] for run in each], axis=0) for name, each in runs.items()}
    reference = settings[0].name
    compared = compare_all(macro, drawn, reference) if len(drawn) > 1 else {}
    first = {name: kept.scores[each[0]] for name, each in runs.items()}
    better = {name: first[name] for name, each in compared.items() if each.adjusted.low > 0}
    parts = [part for part in slices(kept.prepared) if part.view in DECISIVE] if better else []
    harm = gains_by_part(kept.labels, better | {reference: first[reference]}, reference, parts, seed=0)
    stds = {
        name: float(np.mean([fold_spread(kept.labels, kept.scores[run]).std for run in each]))
        for name, each in runs.items()
    }
    return {
        name: Evidence(
            name=name,
            score=macro[name],
            interval=interval(macro[name], drawn[name]),
            difference=compared.get(name),
            fold_std=stds[name],
            reference_fold_std=stds[reference],
            parts=tuple(harm.get(name, ())),
            budget_share=kept.seconds[each[0]] * CONTEST_SOUNDSCAPES / 60 / BUDGET_MINUTES,
            correlation=rank_correlation(kept.labels, first[name], first[reference]),
        )
        for name, each in runs.items()
    }


def _within_luck(decision: Decision, facts: Evidence, gain: Gain | None) -> Decision:
    """The decision; parked where folds and seeds do not bear out a gain, or where only a blend could use it."""
    if decision.verdict == "merge":
        told = f"{facts.difference.gain:+.4f} {signed(facts.difference.interval)} over {facts.difference.reference}"
        why = f"not told apart, {told}; ranks otherwise, correlation {facts.correlation:.2f}: a blend could use it"
        return Decision("park", (why, *decision.reasons[1:]))  # a sweep asks which setting to keep, not what to blend
    if decision.verdict != "promote" or (gain is not None and gain.better):
        return decision
    if gain is None or gain.adjusted is None:
        why = "trained once, in one fold: luck of training is not known; repeat it with seeds"
    else:
        why = f"over folds and seeds {gain.gain:+.4f}, all judged at once {signed(gain.adjusted)}: may be luck"
    return Decision("park", (f"{decision.reasons[0]}; but {why}", *decision.reasons[1:]))


def _unstored(setting: Setting, reference: Setting, gain: Gain | None) -> Decision:
    """The decision where recordings cannot be redrawn, as no scores were stored: nobody leads by that."""
    if gain is not None and gain.worse:
        return Decision("kill", (f"{gain.gain:+.4f} over folds and seeds, all judged at once {signed(gain.adjusted)}",))
    return Decision(
        "park", (f"{setting.score - reference.score:+.4f}; no scores by window are stored to tell it from luck",)
    )


def signed(span: Interval) -> str:
    """An interval of a gain, with signs."""
    return f"[{span.low:+.4f}, {span.high:+.4f}]"
