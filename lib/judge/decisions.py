"""Go or no-go: promote, merge, park or kill, by rules that each say in a sentence why they spoke.

The rules are those of a small triage: what is clearly better and harms nothing leads; what is different joins the pool;
what is unclear waits for a cheap replay; what is clearly worse and alike, or cannot be run, goes.
"""

from dataclasses import dataclass

from lib.judge.bootstrap import Interval
from lib.judge.compare import Difference, PartGain

UNSAFE_SHARE = 0.85  # of the 90 minutes: beyond it, a slower machine than ours loses the submission
WATCH_SHARE = 0.5  # beyond it nothing else of weight fits beside it
ALIKE = 0.9  # rank correlation with the present blend above which a member adds nothing to it
SHAKY = 1.5  # times the reference's fold std: a mean bought with dispersion is weak evidence
SHAKY_STD = 0.02  # and never called shaky below this: five folds cannot tell it from luck
HARM = 0.01  # a subgroup's loss that matters, when its interval also excludes zero
CHANCE = 0.5
REPLAY_GAIN = 0.005  # an unclear gain of this size is worth a replay: smaller ones never survived more data
REPLAY_LUCK = 1.0  # and at most so many of those tried would look as good by luck alone


@dataclass(frozen=True)
class Evidence:
    """What is known about a candidate."""

    name: str
    score: float
    interval: Interval
    difference: Difference | None  # None: it is the reference
    fold_std: float
    reference_fold_std: float
    parts: tuple[PartGain, ...]
    budget_share: float
    correlation: float
    weight_in_reference: float = 0.0  # a part of the reference is alike to it by construction


@dataclass(frozen=True)
class Decision:
    """A verdict, and the sentences that led to it, the decisive one first."""

    verdict: str
    reasons: tuple[str, ...]


def decide(known: Evidence) -> Decision:
    """The verdict on a candidate."""
    notes = _notes(known)
    if known.budget_share > UNSAFE_SHARE:
        why = f"takes {known.budget_share:.0%} of the 90 minutes: it may teach, it cannot be submitted"
        return Decision("kill", (why, *notes))
    if known.difference is None:
        return Decision("promote", ("the reference: what all others must beat", *notes))
    if known.interval.low <= CHANCE:
        return Decision("kill", (f"not shown to be better than chance: {known.interval}", *notes))
    if known.difference.adjusted.low > 0:
        return _better(known.difference, [*_harmed(known), *_shaky(known)], notes)
    if known.weight_in_reference > 0:
        gain = f"{known.difference.gain:+.4f} {known.difference.interval} alone"
        why = f"in {known.difference.reference} already, with weight {known.weight_in_reference:.2f}; {gain}"
        return Decision("merge", (why, *notes))
    return _not_better(known.difference, known.correlation, notes)


def _better(gained: Difference, objections: list[str], notes: tuple[str, ...]) -> Decision:
    """The verdict on a candidate whose gain is beyond luck."""
    gain = f"gains {gained.gain:+.4f} over {gained.reference}, all compared at once {gained.adjusted}"
    if objections:
        return Decision("park", (f"{gain}, but {'; '.join(objections)}", *notes))
    return Decision("promote", (f"{gain}, and harms no subgroup", *notes))


def _not_better(gained: Difference, correlation: float, notes: tuple[str, ...]) -> Decision:
    """The verdict on a candidate that is worse, or not told from the reference."""
    gain, ranks = f"{gained.gain:+.4f} {gained.interval}", f"rank correlation with the blend {correlation:.2f}"
    if gained.interval.high < 0:
        if correlation >= ALIKE:
            return Decision("kill", (f"clearly below {gained.reference}, {gain}, and alike: {ranks}", *notes))
        why = f"clearly below {gained.reference}, {gain}; but different, {ranks}: only a blend could use it"
        return Decision("park", (why, *notes))
    if correlation < ALIKE:
        why = f"not told from {gained.reference}, {gain}, and different, {ranks}: worth a place in the pool"
        return Decision("merge", (why, *notes))
    if gained.gain >= REPLAY_GAIN and gained.lucky <= REPLAY_LUCK:
        return Decision("park", (f"promising and unclear, {gain}: replay first, then judge again", *notes))
    return Decision("kill", (f"no gain to speak of, {gain}, and alike: {ranks}", *notes))


def _harmed(known: Evidence) -> list[str]:
    """The subgroups that clearly lose, and by how much, the worst first."""
    lost = [part for part in known.parts if part.gain <= -HARM and part.interval.high < 0]
    return [
        f"{part.view} {part.part!r} loses {-part.gain:.4f} {part.interval}"
        for part in sorted(lost, key=lambda part: part.gain)
    ]


def _shaky(known: Evidence) -> list[str]:
    """A sentence where the folds disagree much more than they do on the reference."""
    limit = max(SHAKY * known.reference_fold_std, SHAKY_STD)
    if known.fold_std > limit:  # never so when either is NaN
        return [f"its folds vary by {known.fold_std:.3f}, the reference's by {known.reference_fold_std:.3f}"]
    return []


def _notes(known: Evidence) -> tuple[str, ...]:
    """What should be known beside the verdict."""
    notes = []
    if WATCH_SHARE < known.budget_share <= UNSAFE_SHARE:
        notes.append(f"watch the clock: it takes {known.budget_share:.0%} of the 90 minutes alone")
    if known.difference is not None and known.difference.adjusted.low <= 0:  # a better one's are its objections
        harmed = _harmed(known)
        more = f" (and {len(harmed) - 1} other parts)" if len(harmed) > 1 else ""
        notes += [f"{sentence}{more}" for sentence in harmed[:1]] + _shaky(known)
    return tuple(notes)
