"""The page of a sweep: the question, the verdict, every run, the effect of each parameter, and what to do next.

python -m build.sweeps.report runs/mini/sweeps/front_end    write the page of a sweep again
"""

import argparse
import csv
import html
import io
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from build.sweeps.record import RunRecord, effective_parameters, read_record
from build.sweeps.runs import one_line
from build.sweeps.verdicts import JudgedSweep, Verdict, format_interval, judge_sweep
from lib.core.errors import BadInput
from lib.core.records import read_json, write_json, write_text
from lib.judge.compare import Difference
from lib.judge.effects import UNSET, Effect, value_name
from lib.judge.gains import Gain
from lib.judge.ledger import append_ledger_line, read_ledger
from lib.show.dashboard import short_name
from lib.show.html import Html, write_page
from lib.show.plots import ladder
from lib.show.sweeps import effect_dots, parallel_coordinates

_COLUMNS = 5  # parameters that have a column each; more share one
_STAGES = {"full": 0, "only": 0, "replay": 1}  # the one that decides comes first


def write_table(folder: Path, judged: JudgedSweep) -> None:
    """Write `results.json` and `results.csv` into the sweep's folder."""
    rows = [_run_row(record, judged) for record in judged.records]
    write_json(folder / "results.json", rows)
    rows = [row["parameters"] | row | {"error": row["error"] and one_line(row["error"])} for row in rows]
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "parameters"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "results.csv", text.getvalue())


def append_lines(ledger: Path, judged: JudgedSweep) -> None:
    """Add the line that counts of each run that ended well to a ledger, once."""
    sweep = judged.sweep
    there = {tag for line in read_ledger(ledger) if "sweep" in line.tags for tag in line.tags}
    for record in judged.records:
        if record.id not in there and record.status == "done" and record.ledger:
            tags, verdict = ("sweep", sweep["name"], record.id), judged.verdict_of(record) or "park"
            if line := record.line(sweep["metric"]):
                append_ledger_line(ledger, replace(line, question=sweep["question"], tags=tags, verdict=verdict))


def _run_row(record: RunRecord, judged: JudgedSweep) -> dict:
    """A run's row for programs."""
    low, high = record.interval or (None, None)
    kept = ("id", "number", "stage", "seed", "parameters", "status", "score")
    return {name: getattr(record, name) for name in kept} | {
        "low": low,
        "high": high,
        "seconds": record.seconds,
        "verdict": judged.verdict_of(record),
        "error": record.error,
        "notebook": record.notebook,
    }


def runs_table(folder: Path, judged: JudgedSweep) -> Html:
    """Every run: its parameters, its score and its page; the decisive stage first, the best first, failures last."""
    records = sorted(
        judged.records,
        key=lambda record: (record.status != "done", _STAGES[record.stage], -(record.score or 0), record.number),
    )
    staged = len({record.stage for record in records}) > 1
    rows = [_row(folder, record, judged, staged) for record in records]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0][1])
    body = "".join(f"<tr class='{look}'>{''.join(cells.values())}</tr>" for look, cells in rows)
    return Html(f"<div class='runs'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def _row(folder: Path, record: RunRecord, judged: JudgedSweep, staged: bool) -> tuple[str, dict]:
    """The row's CSS class and its cells."""
    found = judged.of(record)
    set_ = {name: value_name(effective_parameters(record).get(name, UNSET)) for name in judged.names}
    if len(set_) > _COLUMNS:
        set_ = {"parameters": ", ".join(f"{name}={value}" for name, value in set_.items())}
    folds = list(record.per_fold.values())
    gain = found and found.over_recordings
    texts = {
        **({"stage": record.stage} if staged else {}),
        **set_,
        **({"seed": str(record.seed)} if len({each.seed for each in judged.records}) > 1 else {}),
        "score": "" if record.score is None else f"{record.score:.4f}",
        "90 % interval": f"[{record.interval[0]:.3f}, {record.interval[1]:.3f}]" if record.interval else "",
        "folds, std": f"{min(folds):.3f} … {max(folds):.3f}, {np.std(folds, ddof=1):.3f}" if len(folds) > 1 else "",
        "seconds": f"{record.seconds:.0f}",
        "gain, all at once": f"{gain.gain:+.4f} {format_interval(gain.adjusted)}" if gain else "",
        "verdict": verdict_word(record, found),
        "error": one_line(record.error)[-200:] if record.error else "",
    }
    if not any(each.error for each in judged.records):
        del texts["error"]
    cells = {"run": f"<td>{_links(folder, record)}</td>"}
    for name, text in texts.items():
        look = " class='text'" if name in ("error", "parameters") else ""
        cells[name] = f"<td{look}>{html.escape(text)}</td>"
    return "failed" if record.status == "failed" else verdict_word(record, found), cells


def verdict_word(record: RunRecord, found: Verdict | None) -> str:
    """The verdict on a run, as a word."""
    if record.status != "done" or found is None:
        return record.status
    return "baseline" if found.setting.name == "the baseline" else found.decision.verdict


def _links(folder: Path, record: RunRecord) -> str:
    """The run's number, linked to its page or else its notebook; and its log where it did not end well."""
    beside = Path(record.notebook)
    places = [
        place for place in (beside.with_suffix(".html"), beside) if record.notebook and (folder / place).is_file()
    ]
    shown = _link(places[0], str(record.number)) if places else str(record.number)
    log = beside.with_suffix(".log")
    return shown + (f" {_link(log, 'log')}" if record.status != "done" and (folder / log).is_file() else "")


def _link(place: Path, text: str) -> str:
    return f"<a href='{html.escape(place.as_posix())}'>{html.escape(text)}</a>"


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
            f"{_adjusted(best.over_recordings)} over recordings and {_adjusted(best.over_folds)} over {over}."
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


_BEST = 8  # settings in the figure of the best
_WIDE = Html("""<style>body{max-width:84rem}.runs{max-height:42rem;overflow:auto}.runs table{font-size:.82rem}
.runs th{position:sticky;top:0;background:#fff}.runs td{white-space:nowrap}
.runs td.text{white-space:normal;min-width:22rem}
tr.promote{background:#e3f1e8}tr.failed{background:#fbe9e9}tr.baseline{background:#eef3f7}</style>""")

_HOW = """Runs that share all but the parameter, seed included, are paired, and compared fold by fold. Both folds and
pairs are taken as drawn from many, so the 90 % interval holds the luck of recordings, of training and of what else was
set; how much they vary is pooled over all values. "All at once" holds for every value on this page together. Where most
runs of a value have no such partner, the means of all its runs are compared instead, and what else varied counts as
luck; numbers tried at many values are seen in thirds."""
_RULES = """A setting (runs that differ by their seed alone) is promoted when three things hold: its gain over the
baseline, over redrawn recordings and with all settings judged at once, is above zero; so is its gain over folds and
seeds; and the judge's rules object to nothing, such as a subgroup that loses or a cost beyond the clock. What is
clearly below the baseline, or not above chance, is killed; all else is parked."""


def write_sweep_page(folder: Path, judged: JudgedSweep) -> Path:
    """Write `index.html` into the sweep's folder, and return its path."""
    page = folder / "index.html"
    write_page(page, f"Sweep {folder.name}", [_WIDE, *page_parts(folder, judged)])
    return page


def judge_folder(folder: Path) -> JudgedSweep:
    """The sweep of a folder as it stands: all its runs that have ended, judged."""
    sweep = read_json(folder / "sweep.json")
    return judge_sweep(folder, sweep, read_records(folder, sweep))


def read_records(folder: Path, sweep: dict) -> list[RunRecord]:
    """The records of the runs that have ended, by their number; those that it no longer contains are left out."""
    found = [record for identity in sweep["runs"] if (record := read_record(folder, identity))]
    return sorted(found, key=lambda record: record.number)


def page_parts(folder: Path, judged: JudgedSweep) -> list:
    """The page's parts, from the question to every decision and its reasons."""
    question = f"Question: {judged.sweep['question']}"
    if not judged.records:
        return [question, "No run has ended yet."]
    parts = [
        question,
        _count_sentence(judged),
        "# Verdict",
        verdict_sentences(judged),
        *advice_sentences(judged),
        *judged.notes,
        "# The runs",
        runs_table(folder, judged),
    ]
    if judged.effects:
        parts += ["# Effect of each parameter", _HOW, effect_dots(judged.effects), effects_table(judged.effects)]
    if judged.names and judged.tried > 1:
        parts += ["# All runs at a glance", "A line a run, the three best drawn strongest.", _parallel(judged)]
    if judged.tried:
        best, stage = max(judged.verdicts.values(), key=len), "the replay's " if not judged.last else ""
        best = judged.last or best
        parts += [
            "# Best settings",
            f"By {stage}score, the best first, with the 90 % interval over recordings.",
            _ladder(best),
            "# Go or no-go",
            _RULES,
            _decisions(judged),
        ]
    return parts


def effects_table(found: list[Effect]) -> pd.DataFrame:
    """One row a value of a parameter: its mean score, its gain and both intervals, and what was compared."""
    rows = []
    for effect in found:
        gain = effect.gain
        rows.append(
            {
                "parameter": effect.parameter,
                "value": effect.value,
                "runs": effect.runs,
                "mean score": f"{effect.score:.4f}",
                "gain": f"{gain.gain:+.4f}" if gain else "reference",
                "90 % interval": format_interval(gain.interval) if gain and gain.interval else "",
                "all at once": format_interval(gain.adjusted) if gain and gain.adjusted else "",
                "compared": _compared(effect),
            }
        )
    return pd.DataFrame(rows)


def _compared(effect: Effect) -> str:
    """The pairs or means that the gain is computed from."""
    gain = effect.gain
    if gain is None:
        return ""
    folds = f" × {gain.folds} folds" if gain.folds > 1 else ""
    if not gain.pairs:
        return f"means of all its runs{folds}"
    never = "" if gain.interval else ": nothing repeated, so no interval"
    return f"{gain.pairs} pair{'s' if gain.pairs > 1 else ''}{folds}{never}"


def _count_sentence(judged: JudgedSweep) -> str:
    """The sentence that counts runs by outcome, with their cost and the number to come."""
    records, wanted = judged.records, len(judged.sweep["runs"])
    status, stages = Counter(record.status for record in records), Counter(record.stage for record in records)
    how = ", ".join(f"{status[word]} {word}" for word in ("done", "failed", "pruned") if status[word])
    first = f"; {stages['replay']} of them replays" if stages["replay"] else ""
    to_come = f"; {wanted - len(records)} to come" if wanted > len(records) else ""
    minutes = sum(record.seconds for record in records) / 60
    return f"{len(records)} run{'s' if len(records) > 1 else ''}: {how}{first}; {minutes:.1f} minutes{to_come}."


def _parallel(judged: JudgedSweep) -> Figure:
    """The lines of all scored runs, of the stage with the most."""
    widest = max(judged.verdicts.values(), key=len)
    records = [record for each in widest for record in each.setting.records]
    table = pd.DataFrame(
        {name: [effective_parameters(record).get(name, UNSET) for record in records] for name in judged.names},
        dtype=object,
    )
    return parallel_coordinates(table, np.array([record.score for record in records]))


def _ladder(verdicts: list[Verdict]) -> Figure:
    """The best settings with their intervals; where no scores are stored, with that of their first run."""
    rungs = []
    for each in sorted(verdicts, key=lambda each: -each.setting.score)[:_BEST]:
        score, stored = each.setting.score, each.setting.records[0].interval
        low, high = (each.interval.low, each.interval.high) if each.interval else stored or (score, score)
        rungs.append(
            {"name": short_name(each.setting.name), "score": score, "low": min(low, score), "high": max(high, score)}
        )
    return ladder(pd.DataFrame(rungs))


def _decisions(judged: JudgedSweep) -> pd.DataFrame:
    """One row a setting and stage: its verdict and why, the best first."""
    rows = pd.DataFrame(
        {
            "stage": stage,
            "setting": each.setting.name,
            "seeds": len(each.setting.records),
            "mean score": f"{each.setting.score:.4f}",
            "gain over folds and seeds, all at once": _spread(each),
            "verdict": verdict_word(each.setting.records[0], each),
            "why": ". ".join(each.decision.reasons),
        }
        for stage, group in reversed(judged.verdicts.items())
        for each in sorted(group, key=lambda each: -each.setting.score)
    )
    return rows if len(judged.verdicts) > 1 else rows.drop(columns="stage")


def _spread(each: Verdict) -> str:
    """The gain over folds and seeds with its wider interval."""
    gain = each.over_folds
    if gain is None:
        return ""
    return f"{gain.gain:+.4f} {format_interval(gain.adjusted)}" if gain.adjusted else f"{gain.gain:+.4f}"


def main(arguments: list[str] | None = None) -> int:
    """Write the page again; 0 on success."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the sweep's folder, below RUNS/sweeps")
    options = parser.parse_args(arguments)
    try:
        page = write_sweep_page(options.folder, judge_folder(options.folder))
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    print(f"page: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
