"""Verdicts on a sweep's settings by the judge's rules, and the effect of each parameter.

The unit is the setting: runs that differ by their seed alone are one setting, tried several times. A setting leads only
when its gain holds over redrawn recordings and over folds and seeds, both with all that was tried judged at once: among
many that are no better, one will always look so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from build.sweeps.record import RunRecord, Setting, effective_parameters, settings_by_stage, varied_parameters
from build.sweeps.scores import StoredScores, load_stored_scores
from lib.judge.bootstrap import Interval, bootstrap, interval
from lib.judge.compare import Difference, compare_all, gains_by_subgroup, rank_correlation
from lib.judge.decisions import Decision, Evidence, decide
from lib.judge.effects import Effect, SweepRun, effects, setting_differences
from lib.judge.gains import Gain, paired_gains
from lib.judge.metric import judge
from lib.judge.studies.replay import ReplaySettings, triage
from lib.judge.subgroups import DECISIVE, fold_spread, list_subgroups
from lib.submit.budget import BUDGET_MINUTES, CONTEST_SOUNDSCAPES

STAND_IN = "stands in for the baseline, which has no score in this stage"


@dataclass(frozen=True, eq=False)
class Verdict:
    """The decision on a setting; its gain over the baseline by recordings and by folds and seeds, where known."""

    setting: Setting
    decision: Decision
    over_recordings: Difference | None = None
    over_folds: Gain | None = None
    interval: Interval | None = None  # of the setting's score, a mean over its seeds; over redrawn recordings


@dataclass(frozen=True, eq=False)
class JudgedSweep:
    """A judged sweep: settings by stage, the baseline first where it ended well, and effects of parameters."""

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
        """The number of settings tried, in the stage with the most."""
        return max((len(each) for each in self.verdicts.values()), default=0)

    @property
    def repeated(self) -> bool:
        """True when some setting was tried with several seeds."""
        return any(len(each.setting.records) > 1 for stage in self.verdicts.values() for each in stage)

    def of(self, record: RunRecord) -> Verdict | None:
        """The verdict on the run's setting; None where it has no score."""
        every = (each for stage in self.verdicts.values() for each in stage)
        return next((each for each in every if record in each.setting.records), None)

    def verdict_of(self, record: RunRecord) -> str:
        """The verdict on the run as a word; empty where it has no score."""
        found = self.of(record)
        return found.decision.verdict if found else ""


def judge_sweep(folder: Path, sweep: Mapping, records: Sequence[RunRecord]) -> JudgedSweep:
    """All verdicts and effects of a sweep; `sweep` is its sweep.json."""
    settings, baseline_ran = settings_by_stage(sweep, records)
    tried = max((len(each) for each in settings.values()), default=1) - 1
    verdicts, trials, notes = {}, {}, []
    for stage, each in settings.items():
        kept, wrong = load_stored_scores(folder, sweep, [record for setting in each for record in setting.records])
        drawn = _draws(each, kept) if kept else {}
        trials[stage] = {record.id: as_sweep_run(record, kept) for setting in each for record in setting.records}
        gained = _gains(each, trials[stage], tried)
        if stage == "replay":
            decided = _replay_verdicts(sweep, each, settings.get("full", []), gained)
        else:
            decided = _stage_verdicts(each, kept, drawn, gained, baseline_ran)
        verdicts[stage] = [replace(verdict, interval=_interval_of_mean(verdict.setting, drawn)) for verdict in decided]
        notes += wrong
    widest = list(max(trials.values(), key=len, default={}).values())
    found = effects(widest, widest[0].parameters) if widest else []
    return JudgedSweep(
        sweep, tuple(records), varied_parameters(records), verdicts, baseline_ran, found, tuple(dict.fromkeys(notes))
    )


def as_sweep_run(record: RunRecord, kept: StoredScores | None) -> SweepRun:
    """The run as `effects` takes it; its scores by fold are computed anew where all its scores are at hand."""
    per_fold = kept.per_fold(record.id) if kept and record.id in kept.scores else record.per_fold
    assert record.score is not None, "a run without a score is in no setting"
    return SweepRun(effective_parameters(record), record.seed, record.score, per_fold)


def _replay_verdicts(
    sweep: Mapping, settings: list[Setting], full: list[Setting], gained: dict[str, Gain]
) -> list[Verdict]:
    """The triage of a replay: each setting is promoted to a full fit, parked or killed."""
    promotion = sweep["promote"] or {}
    limits = ReplaySettings()
    if promotion.get("gain") is not None:
        limits = replace(limits, promote=promotion["gain"])
    found = triage({setting.name: setting.score for setting in settings}, settings[0].name, limits)
    went_on = {_key_across_stages(setting, promotion) for setting in full}
    verdicts = []
    for setting in settings:
        gain, verdict = setting.score - settings[0].score, found[setting.name]
        if _key_across_stages(setting, promotion) in went_on:
            verdict, why = "promote", f"{gain:+.4f} in the replay: fitted in full"
        elif verdict == "promote" and full:
            verdict, why = "park", f"{gain:+.4f} in the replay, but others went first"
        else:
            thresholds = f"which promotes from {limits.promote:+.3f}, and kills below {limits.kill:+.3f}"
            why = f"{gain:+.4f} in the replay, {thresholds}"
        verdicts.append(Verdict(setting, Decision(verdict, (why,)), over_folds=gained.get(setting.name)))
    return verdicts


def _key_across_stages(setting: Setting, promotion: Mapping) -> str:
    """The setting's key in either stage: all it sets that the replay leaves alone."""
    replay = promotion.get("replay", {})
    return repr(
        sorted((name, value) for name, value in effective_parameters(setting.records[0]).items() if name not in replay)
    )


def _draws(settings: list[Setting], kept: StoredScores) -> dict[str, np.ndarray]:
    """(draws,) scores over redrawn recordings, by the run's id; the same draws for every run."""
    runs = [record.id for setting in settings for record in setting.records if record.id in kept.scores]
    return bootstrap(kept.labels, {run: kept.scores[run] for run in runs}) if runs else {}


def _interval_of_mean(setting: Setting, drawn: Mapping[str, np.ndarray]) -> Interval | None:
    """The interval of the mean over the setting's seeds: their draws are averaged, recordings being the same for all.

    Without scores of every run it is known of a single run alone, which has its own.
    """
    runs = [record.id for record in setting.records]
    if set(runs) <= set(drawn):
        return interval(setting.score, np.mean([drawn[run] for run in runs], axis=0))
    return Interval(*setting.records[0].interval) if len(runs) == 1 and setting.records[0].interval else None


def _gains(settings: list[Setting], trials: Mapping[str, SweepRun], tried: int) -> dict[str, Gain]:
    """Each further setting's gain over the first, run against run of one seed; none where no seed is shared."""
    tables = {}
    ours = {record.seed: trials[record.id] for record in settings[0].records}
    for setting in settings[1:]:
        pairs = [([ours[record.seed]], [trials[record.id]]) for record in setting.records if record.seed in ours]
        if pairs:
            tables[setting.name] = setting_differences(pairs)
    return dict(zip(tables, paired_gains(list(tables.values()), tried), strict=True))


def _stage_verdicts(
    settings: list[Setting],
    kept: StoredScores | None,
    drawn: Mapping[str, np.ndarray],
    gained: dict[str, Gain],
    baseline_ran: bool,
) -> list[Verdict]:
    """The rules' decision on each setting of the stage that counts."""
    first = settings[0]
    known = [setting for setting in settings if kept and any(record.id in kept.scores for record in setting.records)]
    evidence = _evidence(known, kept, drawn) if kept and first in known else {}
    verdicts = []
    for setting in settings:
        gain, facts = gained.get(setting.name), evidence.get(setting.name)
        if setting is first:
            decision = Decision("park", ("what all others must beat" if baseline_ran else STAND_IN,))
        elif facts is None:
            decision = _decide_without_scores(setting, first, gain)
        else:
            decision = _park_within_luck(decide(facts), facts, gain)
        verdicts.append(Verdict(setting, decision, facts.difference if facts else None, gain))
    return verdicts


def _evidence(settings: list[Setting], kept: StoredScores, drawn_run: Mapping[str, np.ndarray]) -> dict[str, Evidence]:
    """The evidence on each setting, the first being the reference: means over seeds.

    Subgroups, correlation and cost are those of its first run: a mean of scores would be an ensemble.
    """
    runs = {setting.name: [record.id for record in setting.records if record.id in kept.scores] for setting in settings}
    of_run = {run: judge(kept.labels, kept.scores[run]).macro for each in runs.values() for run in each}
    macro = {name: float(np.mean([of_run[run] for run in each])) for name, each in runs.items()}
    drawn = {name: np.mean([drawn_run[run] for run in each], axis=0) for name, each in runs.items()}
    reference = settings[0].name
    compared = compare_all(macro, drawn, reference) if len(drawn) > 1 else {}
    first = {name: kept.scores[each[0]] for name, each in runs.items()}
    better = {name: first[name] for name, each in compared.items() if each.adjusted.low > 0}
    parts = [part for part in list_subgroups(kept.prepared) if part.grouping in DECISIVE] if better else []
    harm = gains_by_subgroup(kept.labels, better | {reference: first[reference]}, reference, parts, seed=0)
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
            subgroups=tuple(harm.get(name, ())),
            budget_share=kept.seconds[each[0]] * CONTEST_SOUNDSCAPES / 60 / BUDGET_MINUTES,
            correlation=rank_correlation(kept.labels, first[name], first[reference]),
        )
        for name, each in runs.items()
    }


def _park_within_luck(decision: Decision, facts: Evidence, gain: Gain | None) -> Decision:
    """The decision; parked where folds and seeds do not confirm a gain, or where only a blend could use it."""
    if decision.verdict == "merge" and (found := facts.difference):  # a sweep decides what to keep, not what to blend
        gained = f"{found.gain:+.4f} {format_interval(found.interval)} over {found.reference}"
        ranks = f"ranks differently, correlation {facts.correlation:.2f}"
        return Decision("park", (f"no sure difference, {gained}; {ranks}: a blend could use it", *decision.reasons[1:]))
    if decision.verdict != "promote" or (gain is not None and gain.better):
        return decision
    if gain is None or gain.adjusted is None:
        why = "trained once, in one fold: luck of training is not known; repeat it with seeds"
    else:
        why = f"over folds and seeds {gain.gain:+.4f}, all judged at once {format_interval(gain.adjusted)}: may be luck"
    return Decision("park", (f"{decision.reasons[0]}; but {why}", *decision.reasons[1:]))


def _decide_without_scores(setting: Setting, reference: Setting, gain: Gain | None) -> Decision:
    """The decision where recordings cannot be redrawn, as no scores were stored: never a promotion."""
    if gain is not None and gain.worse:
        return Decision(
            "kill", (f"{gain.gain:+.4f} over folds and seeds, all judged at once {format_interval(gain.adjusted)}",)
        )
    return Decision(
        "park", (f"{setting.score - reference.score:+.4f}; no scores by window are stored to separate it from luck",)
    )


def format_interval(span: Interval | None) -> str:
    """An interval of a gain as text, with signs; empty where there is none."""
    return "" if span is None else f"[{span.low:+.4f}, {span.high:+.4f}]"
