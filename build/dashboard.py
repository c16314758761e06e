"""Write two pages: the dashboard of all members and blends, and the error analysis with spectrograms and players.

python -m build.dashboard                              of `make demo`
python -m build.dashboard --runs runs/real --data DIR  of other runs, with their competition folder
"""

from pathlib import Path

import numpy as np
import pandas as pd

from build.cli.exit_codes import Parser, end, tool
from build.judge import Board, assess
from build.pages.page import PagePart, write_page
from build.project import ROOT
from lib.competition.row_ids import WINDOW_S, WINDOWS_PER_SOUNDSCAPE, split_row_id
from lib.competition.tables import Findings, read_taxonomy
from lib.core.paths import find_competition, ledger_path
from lib.core.progress import progress
from lib.judge import ledger
from lib.judge.bootstrap import score_table
from lib.judge.compare import rank_correlation
from lib.judge.decisions import HARM, REPLAY_GAIN, SAME_RANKING, UNSAFE_SHARE, UNSTABLE_RATIO
from lib.judge.subgroups import class_table, fold_spread, list_subgroups, rare_precision, subgroup_table
from lib.show.audio import player
from lib.show.dashboard import correlation_heatmap, fold_dots, ledger_history, ledger_table, subgroup_heatmap
from lib.show.error_analysis import (
    failure_modes,
    mode_table,
    rank_losses,
    signal_to_noise,
    window_figure,
    worst_windows,
)
from lib.show.plots import ladder
from lib.sound.decode import decode, soundscape_windows
from lib.submit.budget import BUDGET_MINUTES, CONTEST_SOUNDSCAPES

_WORST = 3  # windows shown of each failure mode

_RULES = f"""A candidate is promoted when its gain over the reference, adjusted for all comparisons, is above zero, no
subgroup loses more than {HARM} beyond its interval, and its folds vary less than {UNSTABLE_RATIO} times the
reference's. What takes more than {UNSAFE_SHARE:.0%} of the {BUDGET_MINUTES:.0f} minutes, or is not above chance, is
killed. What is not distinguishable from the reference joins the pool (merge) when it ranks differently, with a rank
correlation under {SAME_RANKING}; when it ranks alike, it waits for a replay (park) if it gains {REPLAY_GAIN} or more,
and is killed if not."""


def dashboard_parts(board: Board, taxonomy: pd.DataFrame, lines: list[ledger.LedgerLine]) -> list[PagePart]:
    """The dashboard's parts, from the board to the ledger."""
    prepared, labels, names = board.prepared, board.prepared.labels, list(board.table.model)
    table = board.table
    numbers = table.drop(columns="why")
    numbers["minutes of 90"] = numbers["minutes of 90"].map(lambda minutes: f"{minutes:.2f}")
    compared = pd.DataFrame(
        {
            "model": each.name,
            f"gain over {board.reference}": f"{each.gain:+.4f}",
            "90 % interval": f"[{each.interval.low:+.4f}, {each.interval.high:+.4f}]",
            "adjusted": f"[{each.adjusted.low:+.4f}, {each.adjusted.high:+.4f}]",
            "would gain as much by chance": f"{each.by_chance:.2f} of {len(board.differences)}"
            if each.gain > 0
            else "–",
        }
        for each in board.differences.values()
    )
    correlations = pd.DataFrame(
        {b: {a: rank_correlation(labels, board.scores[a], board.scores[b]) for a in names} for b in names}
    )
    taxa = dict(zip(taxonomy.primary_label, taxonomy.class_name, strict=True))
    subgroups = subgroup_table(labels, board.scores, list_subgroups(prepared, taxa))
    spreads = {name: fold_spread(labels, board.scores[name]) for name in names}
    classes = class_table(prepared, {board.reference: board.scores[board.reference]})
    classes.insert(1, "name", classes["class"].map(taxonomy.set_index("primary_label").common_name))
    _, chance, rare = rare_precision(labels, board.scores[board.reference])
    sites = prepared.windows.site.nunique()
    return [
        f"{len(labels.row_ids)} labelled windows of {prepared.windows.stem.nunique()} soundscapes at {sites} sites; "
        f"{board.scored[board.reference].classes} of {len(labels.classes)} classes can be scored: any other has "
        f"no positive, or none that a fold can rank. Folds {prepared.folds.version}, data "
        f"{prepared.facts.data_version}. Scores are macro ROC-AUC out of fold, ranked within folds.",
        "# The board",
        ladder(score_table({name: board.scored[name] for name in names})),
        numbers,
        f"Minutes are for {CONTEST_SOUNDSCAPES} soundscapes on one thread, as measured where members were made, an "
        "embedder that several share counted once; model MB is what the model files weigh. "
        "Diversity is 1 minus the rank correlation with the reference, "
        f"{board.reference}. Rare AP is the mean average precision of the {len(rare)} classes present in few windows; "
        f"constant scores would have {chance:.3f}.",
        *[f"Left out: {text}" for text in board.left_out],
        "# Go or no-go",
        _RULES,
        pd.DataFrame({"model": row.model, "verdict": row.decision, "why": row.why} for row in table.itertuples()),
        "# Gains",
        *([compared] if len(compared) else []),
        f"{board.effect}.".capitalize(),
        *[f"Over seeds, {config} varies by {std:.4f}." for config, std in board.seeds.items()],
        "# Rank correlations",
        correlation_heatmap(correlations),
        "# Folds",
        fold_dots({name: spread.scores for name, spread in spreads.items()}, len(spreads[names[0]].classes)),
        "# Subgroups",
        "Beside each subgroup: its windows × the classes that can be scored in it. Subgroups with different classes do "
        "not compare with each other, only their columns do; the table names the classes not scored in each.",
        subgroup_heatmap(subgroups, names),
        subgroups[["grouping", "subgroup", "windows", "classes", "unscored"]],
        "# Classes",
        "AUC and average precision (AP) of the reference, rarest first.",
        classes,
        "# The ledger",
        "Every run in the order of the file, the negative ones too.",
        *([ledger_history(lines), ledger_table(lines)] if lines else ["No line yet."]),
    ]


def error_parts(board: Board, competition: Path, taxonomy: pd.DataFrame) -> list[PagePart]:
    """The error page's parts: the failure modes and their counts, then the worst windows of each with their sound."""
    labels, scores = board.prepared.labels, board.scores[board.reference]
    audio: dict[str, np.ndarray] = {}
    snr: dict[str, float] = {}
    stems = sorted(set(board.prepared.windows.stem))
    for stem in progress(stems, "measuring soundscapes", len(stems)):
        windows = soundscape_windows(decode(competition / "train_soundscapes" / f"{stem}.ogg"))
        audio[stem] = windows
        ends = [WINDOW_S * n for n in range(1, WINDOWS_PER_SOUNDSCAPE + 1)]
        snr |= {f"{stem}_{end}": float(level) for end, level in zip(ends, signal_to_noise(windows), strict=True)}
    modes, lost = failure_modes(labels, scores, snr), rank_losses(labels, scores)
    common = dict(zip(taxonomy.primary_label, taxonomy.common_name, strict=True))
    parts: list[PagePart] = [
        f"Failures of {board.reference}, the reference, on {len(labels.row_ids)} labelled windows, each scored by the "
        "model of the fold that holds it out. A present class is missed in a window when half or more of the fold's "
        "windows without it rank above. A failure mode matters where its rate lies above the rate elsewhere, that of "
        "the present cells not exposed to it; a miss may have several modes. False positives are compared with random "
        "detections.",
        mode_table(modes, [common[name] for name in labels.classes]),
    ]
    shown: set[int] = set()
    for mode in modes:
        parts += [f"# {mode.name}", f"Exposed when {mode.rule}. {int(mode.failed.sum())} cells failed."]
        worst = worst_windows(mode, labels, lost, _WORST, shown)
        shown.update(worst)
        for row in worst:
            scene, end_s = split_row_id(labels.row_ids[row])
            sound = audio[scene.stem][end_s // WINDOW_S - 1]
            failed = [common[labels.classes[column]] for column in mode.failed[row].nonzero()[0]]
            text = f"{labels.row_ids[row]}: {', '.join(failed)}. SNR {snr[labels.row_ids[row]]:.1f} dB."
            parts += [text, window_figure(sound, row, labels, scores, common), player(sound)]
    return parts


@tool
def main(arguments: list[str] | None = None) -> int:
    """Write both pages."""
    parser = Parser(__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="where the notebooks' outputs are")
    parser.add_argument(
        "--data", type=Path, default=ROOT / "data/mini/public/birdclef-2026", help="their competition folder"
    )
    parser.add_argument("--page", type=Path, default=ROOT / "dist/dashboard.html", help="errors.html lies beside it")
    options = parser.parse_args(arguments)
    competition, board = find_competition(str(options.data)), assess(options.runs)
    taxonomy = read_taxonomy(competition, board.prepared.classes, Findings())
    lines = ledger.read_ledger(ledger_path(options.runs))
    errors = options.page.with_name("errors.html")
    write_page(options.page, "Dashboard", dashboard_parts(board, taxonomy, lines))
    write_page(errors, "Error analysis", error_parts(board, competition, taxonomy))
    for page in (options.page, errors):
        print(f"page: {page} ({page.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    end(main)
