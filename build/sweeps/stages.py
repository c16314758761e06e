"""Execution of a sweep: its stages, and in each the runs that are started, watched, pruned and recorded."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from build.project import ROOT
from build.sweeps.config import Promotion, Sweep
from build.sweeps.engines import Cluster, Local
from build.sweeps.record import RunRecord, read_record, record_path, write_record
from build.sweeps.runs import STOP, ListedRuns, Place, Progress, Run, write_request, write_sweep
from build.sweeps.search import SearchedRuns
from lib.core.errors import BadInput
from lib.judge.studies.replay import ReplaySettings, triage

_POLL_S = 0.2
Source = ListedRuns | SearchedRuns
Engine = Local | Cluster


def run_sweep(sweep: Sweep, place: Place, scheduler: str) -> list[RunRecord]:
    """Execute the runs that have no record yet, and return all records of the sweep; promoted runs come last."""
    place.folder.mkdir(parents=True, exist_ok=True)
    if sweep.search:
        return _run_source(sweep, place, SearchedRuns(sweep, sweep.search, place), scheduler, [])
    first = first_runs(sweep, place)
    records = _run_source(sweep, place, ListedRuns(first), scheduler, [])
    if sweep.promote:
        points = promoted_points(sweep, sweep.promote, place, records)
        print(f"promoted: {len(points)} of {len(sweep.points)}", flush=True)
        full = enumerate_runs(sweep, place, points, "full", len(first))
        records += _run_source(sweep, place, ListedRuns(full), scheduler, first)
    return records


def first_runs(sweep: Sweep, place: Place) -> list[Run]:
    """The runs that are known from the beginning; of a search the baseline alone, if there is one."""
    if not sweep.promote:
        return enumerate_runs(sweep, place, sweep.points, "only")
    return enumerate_runs(sweep, place, [point | sweep.promote.replay for point in sweep.points], "replay")


def enumerate_runs(sweep: Sweep, place: Place, points: Sequence[dict], stage: str, after: int = 0) -> list[Run]:
    """A run for each point and seed, numbered after those before."""
    every = [parameters for point in points for parameters in sweep.repeats(point)]
    return [place.run(number, stage, parameters) for number, parameters in enumerate(every, start=after + 1)]


def promoted_points(sweep: Sweep, promotion: Promotion, place: Place, records: Sequence[RunRecord]) -> list[dict]:
    """The points whose replay earned a full run, and the baseline, which they are compared with; means over seeds."""
    score_of = {record.id: record.score for record in records if record.score is not None}
    scores = {}
    for number, point in enumerate(sweep.points):
        runs = enumerate_runs(sweep, place, [point | promotion.replay], "replay")
        if all(run.id in score_of for run in runs):
            scores[number] = float(np.mean([score_of[run.id] for run in runs]))
    if promotion.keep is not None:
        chosen = sorted(scores, key=lambda number: scores[number], reverse=True)[: promotion.keep]
    elif 0 not in scores:
        raise BadInput(
            "the baseline's replay has no score",
            expected="one, for gains to be measured from",
            got="none",
            do="see its log; or set promote.keep instead",
        )
    else:
        verdicts = triage(scores, 0, ReplaySettings(promote=promotion.gain))
        chosen = [number for number, verdict in verdicts.items() if verdict == "promote"]
    return [point for number, point in enumerate(sweep.points) if number in {0, *chosen}]


def _run_source(sweep: Sweep, place: Place, source: Source, scheduler: str, before: Sequence[Run]) -> list[RunRecord]:
    """Execute a source's runs, and return their records in the order of their numbers."""
    write_sweep(sweep, place, [*before, *source.runs()])
    with closing(_make_engine(sweep, place, source.total, scheduler)) as engine:
        print(f"{sweep.name}: {source.total} runs of {sweep.notebook.stem}, {engine}", flush=True)
        with closing(Progress(place.folder, sweep.varied)) as progress:
            _Stage(sweep, place, source, engine, progress).run()
    runs = source.runs()
    write_sweep(sweep, place, [*before, *runs])
    return [record for run in runs if (record := read_record(place.folder, run.id))]


def _make_engine(sweep: Sweep, place: Place, wanted: int, scheduler: str) -> Engine:
    """The engine that executes runs: the cluster, or this machine."""
    if scheduler:
        needed = [sweep.notebook, ROOT / "build/sweeps/one.py"]
        return Cluster(scheduler, place.folder, needed, sweep.resources)
    if unknown := set(sweep.resources) - {"GPU"}:
        raise BadInput(
            "this machine has no such resource",
            expected="GPU",
            got=", ".join(sorted(unknown)),
            do="drop it, or set ENGINE to a cluster whose workers have it",
        )
    return Local(wanted, sweep.cores, int(sweep.resources.get("GPU", 0)))


@dataclass
class _Stage:
    """Runs of one source on one engine."""

    sweep: Sweep
    place: Place
    source: Source
    engine: Engine
    progress: Progress
    _running: dict[str, Run] = field(default_factory=dict)
    _started: dict[str, tuple[str, float]] = field(default_factory=dict)  # ISO time, and the clock's
    _pruned: dict[str, str] = field(default_factory=dict)  # why, by the run's id

    def run(self) -> None:
        """Execute all runs of the source."""
        while self._start_some() or self._running:
            time.sleep(_POLL_S)
            for identity, how in self.engine.poll().items():
                self._record_end(self._running.pop(identity), how)
            for identity, run in self._running.items():
                if identity not in self._pruned and (why := self.source.prune_reason(run)):
                    self._pruned[identity] = why
                    (record_path(self.place.folder, identity).parent / STOP).touch()
            self.progress.tick(self._running.values(), self.source.total)

    def _start_some(self) -> bool:
        """Start runs while slots are free; those that have ended before do not run again. False when none started."""
        started = False
        while len(self._running) < self.engine.slots and (run := self.source.next()):
            known = read_record(self.place.folder, run.id)
            if known and known.status != "failed":
                known = replace(known, number=run.number, stage=run.stage)  # its place in the table may have changed
                write_record(self.place.folder, known)
                self.progress.count_known(known)
                self.source.record_result(known)
                continue
            request = write_request(self.sweep, self.place, run)
            record_path(self.place.folder, run.id).unlink(missing_ok=True)
            self._running[run.id], started = run, True
            self._started[run.id] = datetime.now(UTC).astimezone().isoformat(timespec="seconds"), time.monotonic()
            self.engine.start(request)
        return started

    def _record_end(self, run: Run, how: str) -> None:
        """Take in the run's record; where it left none, record that it was ended, or lost."""
        record = read_record(self.place.folder, run.id)
        if record is None:
            record = self._unfinished_record(run, how)
            write_record(self.place.folder, record)
        self.source.record_result(record)
        self.progress.count_ended(record, self.source.total)

    def _unfinished_record(self, run: Run, how: str) -> RunRecord:
        """The record of a run that wrote none itself."""
        started, clock = self._started[run.id]
        return RunRecord(
            **asdict(run),
            status="pruned" if run.id in self._pruned else "failed",
            score=None,
            interval=None,
            per_fold={},
            seed=run.parameters.get("seed"),
            seconds=round(time.monotonic() - clock, 2),
            started=started,
            error=self._pruned.get(run.id, how),
            notebook=f"runs/{run.id}/notebook.ipynb",
            member="",
            ledger=[],
        )
