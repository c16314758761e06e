"""The page of a sweep: the question, the verdict, every run, the effect of each parameter, and what to do next.

python -m build.sweeps.report runs/mini/sweeps/front_end    write the page of a sweep again
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from build.cli.exit_codes import Parser, end, tool
from build.pages.page import write_page
from build.sweeps.advice import advice_sentences, verdict_sentences
from build.sweeps.record import RunRecord, effective_parameters, read_record
from build.sweeps.table import runs_table, verdict_word
from build.sweeps.verdicts import JudgedSweep, Verdict, format_interval, judge_sweep
from lib.core.errors import shorten
from lib.core.records import read_json
from lib.judge.effects import UNSET, Effect
from lib.show.dashboard import short_name
from lib.show.plots import ladder
from lib.show.sweeps import effect_dots, parallel_coordinates

_BEST = 8  # settings in the figure of the best

_HOW = """Runs that share all but the parameter, seed included, are paired, and compared fold by fold. Both folds and
pairs are taken as drawn from many, so the 90 % interval holds the luck of recordings, of training and of what else was
set; how much they vary is pooled over all values. A gain is the mean of such differences, so it need not be the
difference of two mean scores. "All at once" holds for every value on this page together. Where most
runs of a value have no such partner, the means of all its runs are compared instead, and what else varied counts as
luck; numbers tried at many values are seen in thirds."""

_RULES = """A setting (runs that differ by their seed alone) is promoted when three things hold: its gain over the
baseline, over redrawn recordings and with all settings judged at once, is above zero; so is its gain over folds and
seeds; and the judge's rules object to nothing, such as a subgroup that loses or a cost beyond the clock. What is
clearly below the baseline, or not above chance, is killed; all else is parked. Gains are of means over seeds;
subgroups, rank correlation and cost are those of a setting's first run."""


def write_sweep_page(folder: Path, judged: JudgedSweep) -> Path:
    """Write `index.html` into the sweep's folder, and return its path."""
    page = folder / "index.html"
    write_page(page, f"Sweep {folder.name}", page_parts(folder, judged))
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
            _ladder_sentence(best, stage),
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


def _ladder_sentence(verdicts: list[Verdict], stage: str) -> str:
    """The sentence above the ladder: what is shown, and of which settings no interval is known."""
    repeated = any(len(each.setting.records) > 1 for each in verdicts)
    mean = ", each the mean over its seeds; the draws of its seeds are averaged" if repeated else ""
    bare = [each.setting.name for each in verdicts if each.interval is None]
    unknown = f" Scores by window are not stored of {shorten(bare)}: no interval." if bare else ""
    return f"By {stage}score, the best first, with the 90 % interval over recordings{mean}.{unknown}"


def _ladder(verdicts: list[Verdict]) -> Figure:
    """The best settings, means over seeds, with the intervals of these means."""
    rungs = []
    for each in sorted(verdicts, key=lambda each: -each.setting.score)[:_BEST]:
        score, seeds = each.setting.score, len(each.setting.records)
        low, high = (each.interval.low, each.interval.high) if each.interval else (score, score)
        name = short_name(each.setting.name) + (f", {seeds} seeds" if seeds > 1 else "")
        rungs.append({"name": name, "score": score, "low": min(low, score), "high": max(high, score)})
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


@tool
def main(arguments: list[str] | None = None) -> int:
    """Write the page again; 0 on success."""
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, help="the sweep's folder, below RUNS/sweeps")
    options = parser.parse_args(arguments)
    page = write_sweep_page(options.folder, judge_folder(options.folder))
    print(f"page: {page}")
    return 0


if __name__ == "__main__":
    end(main)
