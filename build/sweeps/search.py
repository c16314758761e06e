"""A search: Optuna's TPE chooses the next point by the scores of the earlier ones, and prunes runs that fall behind.

The study lies in the sweep's folder, or in the database that `storage` names. Every process that opens it takes part:
start the same file on several machines. A changed file, lib or input begins a new study. Scores of epochs come from the
`history.jsonl` that training writes: after each epoch of each fold, the mean of all folds' latest.
"""

import fcntl
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from build.sweeps.config import Search, Sweep
from build.sweeps.record import RunRecord, record_path
from build.sweeps.runs import Place, Run, output_of
from build.sweeps.space import Range
from lib.core import fingerprint
from lib.core.errors import BadInput

if TYPE_CHECKING:
    from optuna import Study, Trial

_REPEATS = 50  # draws in a row that were tried before: the space has no more
_BEFORE_PRUNING = 4  # runs that end by themselves, for later ones to be compared with


class SearchedRuns:
    """The runs of a search, each chosen when a slot is free for it."""

    def __init__(self, sweep: Sweep, search: Search, place: Place):
        """Open the study, or create it; trials that an interrupted search left here run first."""
        self._sweep, self._search, self._place = sweep, search, place
        self._first = [place.run(number, "only", point) for number, point in enumerate(sweep.points, start=1)]
        self._study = _open_study(sweep, search, place)
        self._trials: dict[str, Trial] = {}
        self._steps: dict[str, dict[tuple[int, int], float]] = {}
        self._unfinished = [run for run in map(self._of_trial, self._known()) if self._can_resume(run)]
        self.total = len(self._first) + self._search.runs

    def next(self) -> Run | None:
        """The next run; None where enough have been chosen, here or elsewhere."""
        for waiting in (self._first, self._unfinished):
            if waiting:
                return waiting.pop(0)
        if len(self._known()) >= self._search.runs:
            return None
        for _ in range(_REPEATS):
            trial = self._study.ask()
            point = self._sweep.fixed | {name: _suggest(trial, name, of) for name, of in self._search.space.items()}
            run = self._place.run(len(self._sweep.points) + trial.number + 1, "only", point)
            if all(run.id != known.user_attrs["run"] for known in self._known()):
                trial.set_user_attr("parameters", point)
                trial.set_user_attr("run", run.id)
                self._trials[run.id] = trial
                return run
            self._close(trial.number, "FAIL")
        return None

    def record_result(self, record: RunRecord) -> None:
        """Report a run's outcome to the study."""
        if record.id not in self._trials:
            return  # the baseline is no part of the study
        number = self._trials.pop(record.id).number
        if record.status == "done" and record.score is None:
            raise BadInput(
                "a search needs scores",
                expected="a ledger line of the notebook",
                got="none",
                do="set notebook to one that writes a ledger line",
            )
        if record.status == "done":
            self._study.tell(number, record.score, skip_if_finished=True)
        else:
            self._close(number, "PRUNED" if record.status == "pruned" else "FAIL")

    def prune_reason(self, run: Run) -> str:
        """The reason to end a running run early; empty where there is none."""
        trial = self._trials.get(run.id)
        if trial is None:
            return ""
        seen = self._steps.setdefault(run.id, {})
        history = _history(output_of(self._place.folder, run.id, self._sweep.notebook))
        for key in sorted(set(history) - set(seen)):
            seen[key] = history[key]
            latest = dict(sorted((fold, score) for (fold, _), score in sorted(seen.items())))
            mean = sum(latest.values()) / len(latest)
            trial.report(mean, len(seen))
            if trial.should_prune():
                return f"ended early: {mean:.4f} after {len(seen)} epochs, behind earlier runs"
        return ""

    def runs(self) -> list[Run]:
        """All runs chosen so far, the baseline first."""
        baseline = [self._place.run(n, "only", point) for n, point in enumerate(self._sweep.points, start=1)]
        return baseline + [self._of_trial(trial) for trial in self._known()]

    def _known(self) -> list:
        """The trials that became runs, of all machines."""
        return [trial for trial in self._study.get_trials(deepcopy=False) if "run" in trial.user_attrs]

    def _of_trial(self, trial) -> Run:
        """The run of a trial."""
        attributes = trial.user_attrs
        return Run(attributes["run"], len(self._sweep.points) + trial.number + 1, "only", attributes["parameters"])

    def _can_resume(self, run: Run) -> bool:
        """True for a run that was started in this folder, has not ended, and that no process holds: it is then ours."""
        import optuna

        trial = next(trial for trial in self._known() if trial.user_attrs["run"] == run.id)
        folder = record_path(self._place.folder, run.id).parent
        if trial.state.is_finished() or not folder.is_dir():
            return False
        with (folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        self._trials[run.id] = optuna.trial.Trial(self._study, trial._trial_id)
        return True

    def _close(self, number: int, state: str) -> None:
        """Close a trial that has no score."""
        import optuna

        self._study.tell(number, state=optuna.trial.TrialState[state], skip_if_finished=True)


def _open_study(sweep: Sweep, search: Search, place: Place) -> "Study":
    """The study of this file on this lib and these inputs, created where there is none."""
    if find_spec("optuna") is None:
        raise BadInput(
            "a search needs a package that is not here",
            expected="optuna",
            got="none",
            do="pip install -r requirements-dev.txt",
        )
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = str(place.folder / "study.journal")
    storage = search.storage or optuna.storages.JournalStorage(
        JournalFileBackend(journal, lock_obj=JournalFileOpenLock(journal))
    )
    median: optuna.pruners.BasePruner = optuna.pruners.MedianPruner(n_startup_trials=_BEFORE_PRUNING, n_warmup_steps=2)
    pruner = median if search.pruner == "median" else optuna.pruners.NopPruner()
    study = optuna.create_study(
        study_name=f"{sweep.name}-{fingerprint.of_json([place.facts, sweep.text])}",
        storage=storage,
        direction="maximize",
        pruner=pruner,
        load_if_exists=True,
    )
    # a search that goes on must not draw again what it drew before
    study.sampler = optuna.samplers.TPESampler(
        seed=search.seed + len(study.get_trials(deepcopy=False)),
        n_startup_trials=min(10, search.runs // 2),
        constant_liar=True,  # runs at work count as poor, so that those at once differ
    )
    return study


def _suggest(trial: "Trial", name: str, values: tuple | Range) -> object:
    """The study's suggestion for one parameter."""
    if not isinstance(values, Range):
        return trial.suggest_categorical(name, list(values))
    if values.whole:
        return trial.suggest_int(name, int(values.low), int(values.high), log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def _history(output: Path) -> dict[tuple[int, int], float]:
    """The leading score after each epoch of each fold, by (fold, epoch)."""
    found = {}
    for path in output.glob("training/*/fold*/history.jsonl"):
        for row in map(json.loads, path.read_text().splitlines()):
            score = next(iter(row["scores"].values()), None)
            if score is not None:
                found[int(path.parent.name.removeprefix("fold")), row["epoch"]] = score
    return found
