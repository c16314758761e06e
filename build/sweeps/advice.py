"""The verdict and the advice of a sweep in sentences: which values to set, keep, repeat or leave."""

from build.sweeps.record import effective_parameters
from build.sweeps.verdicts import JudgedSweep, Verdict, format_interval
from lib.judge.compare import Difference
from lib.judge.effects import UNSET, Effect, value_name
from lib.judge.gains import Gain

_UNREPEATED = (
    "No setting was repeated with another seed, so luck that a run has in all its folds alike is in none of the "
    "intervals: what looks sure here may not be. Repeat the best few with seeds."
)


def verdict_sentences(judged: JudgedSweep) -> str:
    """The sweep's result, in one sentence or two."""
    if not judged.tried:
        return "No run ended well, so there is nothing to choose from."
    if judged.tried == 1:
        only = next(iter(judged.verdicts.values()))[0].setting
        return f"One setting has a score, {only.score:.4f}: there is nothing to compare it with."
    return f"{_stand_in_sentence(judged)}{_lead_sentence(judged)}"


def advice_sentences(judged: JudgedSweep) -> list[str]:
    """Further sentences: the effect of each parameter, and what is not known."""
    advice = []
    if judged.tried > 1 and not judged.repeated:
        advice.append(_UNREPEATED)
    by_parameter: dict[str, list[Effect]] = {}
    for effect in judged.effects:
        by_parameter.setdefault(effect.parameter, []).append(effect)
    for name, found in by_parameter.items():
        advice += _parameter_advice(name, found, judged)
    quiet = [name for name, found in by_parameter.items() if not any(_has_shown_effect(effect) for effect in found)]
    unknown = [name for name in quiet if not any(effect.gain and effect.gain.interval for effect in by_parameter[name])]
    if shown := [name for name in quiet if name not in unknown]:
        advice.append(f"No effect beyond luck is shown for {', '.join(shown)}.")
    if unknown:
        advice.append(f"Nothing was repeated, so effects of {', '.join(unknown)} may be luck: add seeds.")
    if judged.effects and not any(effect.gain and effect.gain.folds > 1 for effect in judged.effects):
        advice.append("Without scores of several folds, the luck of recordings is in none of these effects.")
    if judged.sweep["search"]:
        advice.append("A search tries more where it scored well: its effects are hints, to be tested again as a grid.")
    return advice


def _stand_in_sentence(judged: JudgedSweep) -> str:
    """A sentence where the baseline is not among those compared."""
    if judged.baseline_ran:
        return ""
    first = (judged.last or next(iter(judged.verdicts.values())))[0].setting
    return f"The baseline has no score in every stage; {first.name} stands in for it. "


def _lead_sentence(judged: JudgedSweep) -> str:
    """The sentence on the setting that leads, or the value, or that none is shown to."""
    if not judged.last:
        sent = [each.setting.name for each in judged.verdicts["replay"] if each.decision.verdict == "promote"]
        return f"Only the replay has ended; to be fitted in full: {', '.join(sent) or 'none'}."
    reference, settings = judged.last[0].setting.name, len(judged.last) - 1
    promoted = sorted((each for each in judged.last if each.decision.verdict == "promote"), key=_gain, reverse=True)
    if promoted:
        best, more = promoted[0], len(promoted) - 1
        others = f" {more} other{'s are' if more > 1 else ' is'} promoted too." if more else ""
        over = f"folds{' and seeds' * judged.repeated}"
        return (
            f"Promote {best.setting.name}: it gains {_gain(best):+.4f} over {reference}, all judged at once "
            f"{_adjusted(best.over_recordings)} over recordings, and {_over_folds(best)} over {over}."
            f"{others}{_helping_values_sentence(best, judged)}"
        )
    sure = [effect for effect in judged.effects if _sure(effect, judged)]
    lead = max(sure, key=_effect_gain, default=None)
    if lead:
        return (
            f"No single setting is shown to beat {reference}, but one value is, over all else that was tried: "
            f"{lead.parameter}={lead.value}, {_effect_gain(lead):+.4f} over {lead.reference}."
        )
    if not judged.last[1:]:
        return f"Only {reference} has a score in the stage that decides: there is nothing to compare it with."
    best = max(judged.last[1:], key=_gain)
    if _gain(best) <= 0:
        return f"Keep {reference}: none of the {settings} others scores above it."
    luck = best.over_recordings
    by_luck = f", as {luck.by_chance:.1f} of {settings} would by luck over recordings alone" if luck else ""
    near = [each.setting.name for each in judged.last if each.over_recordings and each.over_recordings.adjusted.low > 0]
    hint = f" Over recordings alone it is for {', '.join(near)}: more seeds would decide." if near else ""
    found = f"the best other, {best.setting.name}, gains {_gain(best):+.4f}{by_luck}, and is not shown to be better"
    return f"Keep {reference}: {found}.{hint}"


def _helping_values_sentence(best: Verdict, judged: JudgedSweep) -> str:
    """A sentence naming those of a setting's values that are shown to help, where it sets several."""
    set_ = {name: value_name(effective_parameters(best.setting.records[0]).get(name, UNSET)) for name in judged.names}
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


def _over_folds(each: Verdict) -> str:
    """The setting's gain over folds and seeds, which is a mean of its own, with the interval that holds for all."""
    return f"{each.over_folds.gain:+.4f} {_adjusted(each.over_folds)}" if each.over_folds else ""


def _parameter_advice(name: str, found: list[Effect], judged: JudgedSweep) -> list[str]:
    """The sentence on a parameter with a sure effect: the best value to set, or those to leave, or one to repeat."""
    better = sorted((effect for effect in found if _better(effect)), key=_effect_gain, reverse=True)
    worse = [effect for effect in found if effect.gain and effect.gain.worse]
    if sure := [effect for effect in better if _sure(effect, judged)]:
        best = sure[0]
        return [f"Set {name}={best.value}: {_gain_text(best)} against {best.reference}."]
    if better:
        best = better[0]
        return [f"Repeat {name}={best.value} with seeds: {_gain_text(best)} over folds, by one run against one."]
    if worse:
        lost = "; ".join(f"{effect.value} gains {_gain_text(effect)}" for effect in worse)
        return [f"Keep {name}={found[0].reference}: {lost}."]
    return []


def _gain_text(effect: Effect) -> str:
    """A gain with the interval that holds for all."""
    return f"{_effect_gain(effect):+.4f} {_adjusted(effect.gain)}"


def _effect_gain(effect: Effect) -> float:
    """The gain of a value over the reference value; zero where it is none."""
    return effect.gain.gain if effect.gain else 0.0


def _adjusted(gain: Gain | Difference | None) -> str:
    """The interval of a gain that holds for all judged at once, as text."""
    return format_interval(gain.adjusted if gain else None)


def _better(effect: Effect) -> bool:
    return effect.gain is not None and effect.gain.better


def _sure(effect: Effect, judged: JudgedSweep) -> bool:
    """True for a gain that more than one pair of runs shows; or one pair, whose setting is promoted for it."""
    led = [each.setting.records[0] for each in judged.last if each.decision.verdict == "promote"]
    promoted = {value_name(effective_parameters(record).get(effect.parameter, UNSET)) for record in led}
    return effect.gain is not None and effect.gain.better and (effect.gain.pairs != 1 or effect.value in promoted)


def _has_shown_effect(effect: Effect) -> bool:
    return effect.gain is not None and (effect.gain.better or effect.gain.worse)
