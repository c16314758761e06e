"""Rules that decide on a candidate: promote, merge, park or kill, each with its reason in a sentence.

They are those of a small triage: what is clearly better and harms nothing is promoted; what ranks differently is merged
into the pool; what is unclear is parked for a cheap replay; what is clearly worse and ranks alike, or is too slow, is
killed.
"""

from dataclasses import dataclass

from lib.judge.bootstrap import Interval
from lib.judge.compare import Difference, SubgroupGain

UNSAFE_SHARE = 0.85  # of the 90 minutes: beyond it, a slower machine than this one loses the submission
WATCH_SHARE = 0.5  # beyond it nothing else of weight fits beside it
SAME_RANKING = 0.9  # rank correlation with the present blend from which on a member adds nothing to it
UNSTABLE_RATIO = 1.5  # times the reference's fold std: a mean bought with dispersion is weak evidence
UNSTABLE_STD = 0.02  # and never called unstable below this: five folds cannot distinguish it from noise
HARM = 0.01  # a subgroup's loss that matters, when its interval also excludes zero
CHANCE = 0.5
REPLAY_GAIN = 0.005  # an unclear gain of this size is worth a replay: smaller ones never survived more data
REPLAY_BY_CHANCE = 1.0  # and at most so many of those compared are expected to gain as much by chance alone


@dataclass(frozen=True)
class Evidence:
    """The measurements that a decision on a candidate is based on."""

    name: str
    score: float
    interval: Interval
    difference: Difference | None  # None: it is the reference
    fold_std: float
    reference_fold_std: float
    subgroups: tuple[SubgroupGain, ...]
    budget_share: float
    correlation: float
    weight_in_reference: float = 0.0  # a part of the reference is correlated with it by construction


@dataclass(frozen=True)
class Decision:
    """A verdict, and its reasons in sentences, the decisive one first."""

    verdict: str
    reasons: tuple[str, ...]


def decide(evidence: Evidence) -> Decision:
    """The verdict on a candidate."""
    notes = _notes(evidence)
    if evidence.budget_share > UNSAFE_SHARE:
        why = f"takes {evidence.budget_share:.0%} of the 90 minutes: usable as a teacher, not in a submission"
        return Decision("kill", (why, *notes))
    if evidence.difference is None:
        return Decision("promote", ("the reference that all others are compared with", *notes))
    if evidence.interval.low <= CHANCE:
        return Decision("kill", (f"not shown to be better than chance: {evidence.interval}", *notes))
    if evidence.difference.adjusted.low > 0:
        return _better(evidence.difference, [*_subgroup_losses(evidence), *_unstable(evidence)], notes)
    if evidence.weight_in_reference > 0:
        gain = f"{evidence.difference.gain:+.4f} {evidence.difference.interval} alone"
        why = f"in {evidence.difference.reference} already, with weight {evidence.weight_in_reference:.2f}; {gain}"
        return Decision("merge", (why, *notes))
    return _not_better(evidence.difference, evidence.correlation, notes)


def _better(gained: Difference, objections: list[str], notes: tuple[str, ...]) -> Decision:
    """The verdict on a candidate whose gain is significant."""
    gain = f"gains {gained.gain:+.4f} over {gained.reference}, adjusted {gained.adjusted}"
    if objections:
        return Decision("park", (f"{gain}, but {'; '.join(objections)}", *notes))
    return Decision("promote", (f"{gain}, and harms no subgroup", *notes))


def _not_better(gained: Difference, correlation: float, notes: tuple[str, ...]) -> Decision:
    """The verdict on a candidate that is worse than the reference, or not significantly better."""
    gain, ranks = f"{gained.gain:+.4f} {gained.interval}", f"rank correlation with the blend {correlation:.2f}"
    if gained.interval.high < 0:
        if correlation >= SAME_RANKING:
            return Decision("kill", (f"clearly below {gained.reference}, {gain}, and ranks alike: {ranks}", *notes))
        why = f"clearly below {gained.reference}, {gain}; but ranks differently, {ranks}: only useful in a blend"
        return Decision("park", (why, *notes))
    if correlation < SAME_RANKING:
        why = f"not distinguishable from {gained.reference}, {gain}, but ranks differently, {ranks}: joins the pool"
        return Decision("merge", (why, *notes))
    if gained.gain >= REPLAY_GAIN and gained.by_chance <= REPLAY_BY_CHANCE:
        return Decision("park", (f"promising and unclear, {gain}: replay first, then judge again", *notes))
    return Decision("kill", (f"no relevant gain, {gain}, and ranks alike: {ranks}", *notes))


def _subgroup_losses(evidence: Evidence) -> list[str]:
    """A sentence for each subgroup with a significant loss, the worst first."""
    lost = [part for part in evidence.subgroups if part.gain <= -HARM and part.interval.high < 0]
    return [
        f"{part.grouping} {part.subgroup!r} loses {-part.gain:.4f} {part.interval}"
        for part in sorted(lost, key=lambda part: part.gain)
    ]


def _unstable(evidence: Evidence) -> list[str]:
    """A sentence where the score varies over folds much more than the reference's does."""
    limit = max(UNSTABLE_RATIO * evidence.reference_fold_std, UNSTABLE_STD)
    if evidence.fold_std > limit:  # never so when either is NaN
        return [f"its folds vary by {evidence.fold_std:.3f}, the reference's by {evidence.reference_fold_std:.3f}"]
    return []


def _notes(evidence: Evidence) -> tuple[str, ...]:
    """Further reasons and warnings, which do not decide."""
    notes = []
    if WATCH_SHARE < evidence.budget_share <= UNSAFE_SHARE:
        notes.append(f"watch the clock: it takes {evidence.budget_share:.0%} of the 90 minutes alone")
    if evidence.difference is not None and evidence.difference.adjusted.low <= 0:  # a better one's are its objections
        harmed = _subgroup_losses(evidence)
        more = f" (and {len(harmed) - 1} other subgroups)" if len(harmed) > 1 else ""
        notes += [f"{sentence}{more}" for sentence in harmed[:1]] + _unstable(evidence)
    return tuple(notes)
