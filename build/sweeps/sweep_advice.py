"""What a sweep's numbers say, in sentences: the verdict, and what to set, to keep, to repeat or to leave."""

from build.sweeps.sweep_settings import effective
from build.sweeps.verdicts import Judged, Verdict, signed
from lib.judge.effects import UNSET, Effect, value_name

_UNREPEATED = (
    "No setting was repeated with another seed, so luck that a run has in all its folds alike is in none of the "
    "intervals: what looks sure here may not be. Repeat the best few with seeds."
)


def verdict(judged: Judged) -> str:
    """The answer to what was asked, in one sentence or two."""
    if not judged.tried:
        return "No run ended well, so there is nothing to choose from."
    if judged.tried == 1:
        only = next(iter(judged.verdicts.values()))[0].setting
        return f"One setting has a score, {only.score:.4f}: there is nothing to compare it with."
    return f"{_stand_in(judged)}{_answer(judged)}"


def advice(judged: Judged) -> list[str]:
    """Further sentences: what each parameter does, and what is not known."""
    said = []
    if judged.tried > 1 and not judged.repeated:
        said.append(_UNREPEATED)
    by_parameter: dict[str, list[Effect]] = {}
    for effect in judged.effects:
        by_parameter.setdefault(effect.parameter, []).append(effect)
    for name, found in by_parameter.items():
        said += _of_parameter(name, found, judged)
    quiet = [name for name, found in by_parameter.items() if not any(_shown(effect) for effect in found)]
    unknown = [name for name in quiet if not any(effect.gain and effect.gain.interval for effect in by_parameter[name])]
    if shown := [name for name in quiet if name not in unknown]:
        said.append(f"No effect beyond luck is shown for {', '.join(shown)}.")
    if unknown:
        said.append(f"Nothing was repeated that would tell the effect of {', '.join(unknown)} from luck: add seeds.")
    if judged.effects and not any(effect.gain and effect.gain.folds > 1 for effect in judged.effects):
        said.append("Without scores of several folds, the luck of recordings is in none of these effects.")
    if judged.sweep["search"]:
        said.append("A search tries more where it scored well: its effects are hints, to be asked again as a grid.")
    return said


def _stand_in(judged: Judged) -> str:
    """A sentence where the baseline is not among those compared."""
    if judged.baseline_ran:
        return ""
    first = (judged.last or next(iter(judged.verdicts.values())))[0].setting
    return f"The baseline has no score in every stage; {first.name} stands in for it. "


def _answer(judged: Judged) -> str:
    """Which setting leads, or which value, or that none is shown to."""
    if not judged.last:
        sent = [each.setting.name for each in judged.verdicts["replay"] if each.decision.verdict == "promote"]
        return f"Only the replay has ended; to be fitted in full: {', '.join(sent) or 'none'}."
    reference, settings = judged.last[0].setting.name, len(judged.last) - 1
    promoted = sorted((each for each in judged.last if each.decision.verdict == "promote"), key=_gain, reverse=True)
    if promoted:
        best, more = promoted[0], len(promoted) - 1
        others = f" {more} other{'s are' if more > 1 else ' is'} promoted too." if more else ""
        gained, folds, over = best.over_recordings, best.over_folds, f"folds{' and seeds' * judged.repeated}"
        return (f"Promote {best.setting.name}: it gains {gained.gain:+.4f} over {reference}, all judged at once "
                f"{signed(gained.adjusted)} over recordings and {signed(folds.adjusted)} over {over}."
                f"{others}{_what_counts(best, judged)}")  # fmt: skip
    sure = [effect for effect in judged.effects if _sure(effect, judged)]
    lead = max(sure, key=lambda effect: effect.gain.gain, default=None)
    if lead:
        return (f"No single setting is shown to beat {reference}, but one value is, over all else that was tried: "
                f"{lead.parameter}={lead.value}, {lead.gain.gain:+.4f} over {lead.reference}.")  # fmt: skip
    best = max(judged.last[1:], key=_gain, default=None)
    if best is None:
        return f"Only {reference} has a score in the stage that decides: there is nothing to compare it with."
    if _gain(best) <= 0:
        return f"Keep {reference}: none of the {settings} others scores above it."
    luck = best.over_recordings
    by_luck = f", as {luck.lucky:.1f} of {settings} would by luck over recordings alone" if luck else ""
    gained = f"{_gain(best):+.4f}{by_luck}"
    near = [each.setting.name for each in judged.last if each.over_recordings and each.over_recordings.adjusted.low > 0]
    more = f" Over recordings alone it is for {', '.join(near)}: more seeds would tell." if near else ""
    told = f"the best other, {best.setting.name}, gains {gained}, and is not shown to be better"
    return f"Keep {reference}: {told}.{more}"


def _what_counts(best: Verdict, judged: Judged) -> str:
    """A sentence on which of a setting's values are shown to help, where it sets several."""
    set_ = {name: value_name(effective(best.setting.records[0]).get(name, UNSET)) for name in judged.names}
    moved = [effect for effect in judged.effects if effect.gain and set_.get(effect.parameter) == effect.value]
    helping = [f"{effect.parameter}={effect.value}" for effect in moved if _better(effect)]
    if len(moved) < 2 or len(helping) == len(moved):
        return ""
    return f" Of what it sets, {', '.join(helping) or 'nothing by itself'} is shown to help."


def _gain(each: Verdict) -> float:
    """The setting's gain over the first one, over recordings where it is known; the first one's is zero."""
    if each.over_recordings:
        return each.over_recordings.gain
    return each.over_folds.gain if each.over_folds else 0.0


def _of_parameter(name: str, found: list[Effect], judged: Judged) -> list[str]:
    """What is sure about a parameter: the best value to set, or those to leave, or one to repeat."""
    better = sorted((effect for effect in found if _better(effect)), key=lambda effect: -effect.gain.gain)
    worse = [effect for effect in found if effect.gain and effect.gain.worse]
    if sure := [effect for effect in better if _sure(effect, judged)]:
        best = sure[0]
        return [f"Set {name}={best.value}: {_told(best)} against {best.reference}."]
    if better:
        best = better[0]
        return [f"Repeat {name}={best.value} with seeds: {_told(best)} over folds, by one run against one."]
    if worse:
        lost = "; ".join(f"{effect.value} gains {_told(effect)}" for effect in worse)
        return [f"Keep {name}={found[0].reference}: {lost}."]
    return []


def _told(effect: Effect) -> str:
    """A gain with the interval that holds for all."""
    return f"{effect.gain.gain:+.4f} {signed(effect.gain.adjusted)}"


def _better(effect: Effect) -> bool:
    return effect.gain is not None and effect.gain.better


def _sure(effect: Effect, judged: Judged) -> bool:
    """True for a gain that more than one pair of runs shows; or one pair, whose setting is promoted for it."""
    led = [each.setting.records[0] for each in judged.last if each.decision.verdict == "promote"]
    promoted = {value_name(effective(record).get(effect.parameter, UNSET)) for record in led}
    return _better(effect) and (effect.gain.pairs != 1 or effect.value in promoted)


def _shown(effect: Effect) -> bool:
    return effect.gain is not None and (effect.gain.better or effect.gain.worse)
