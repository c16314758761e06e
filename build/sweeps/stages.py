"""A sweep under way: its stages, and in each the runs that are begun, watched, ended and recorded."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from build.project import ROOT
from build.sweeps.config import Sweep
from build.sweeps.engines import Cluster, Local
from build.sweeps.record import RunRecord, read_record, record_path, write_record
from build.sweeps.runs import STOP, ListedRuns, Place, Progress, Run, write_request, write_sweep
from build.sweeps.search import SearchedRuns
from lib.core.errors import BadInput
from lib.judge.studies.replay import ReplaySettings, triage

_LOOK_EVERY_S = 0.2
Source = ListedRuns | SearchedRuns
Engine = Local | Cluster


def make_all(sweep: Sweep, place: Place, scheduler: str) -> list[RunRecord]:
    """The records of all runs of the sweep, made where there were none: replays first, then what they promote."""
    place.folder.mkdir(parents=True, exist_ok=True)
    if sweep.search:
        source = SearchedRuns(sweep, place)
        return _make(sweep, place, source, scheduler, [])
    first = first_runs(sweep, place)
    records = _make(sweep, place, ListedRuns(first), scheduler, [])
    if sweep.promote:
        points = promoted(sweep, place, records)
        print(f"promoted: {len(points)} of {len(sweep.points)}", flush=True)
        full = listed(sweep, place, points, "full", len(first))
        records += _make(sweep, place, ListedRuns(full), scheduler, first)
    return records


def first_runs(sweep: Sweep, place: Place) -> list[Run]:
    """The runs that are known from the beginning; of a search the baseline alone, if there is one."""
    if not sweep.promote:
        return listed(sweep, place, sweep.points, "only")
    return listed(sweep, place, [point | sweep.promote.replay for point in sweep.points], "replay")


def listed(sweep: Sweep, place: Place, points: Sequence[dict], stage: str, after: int = 0) -> list[Run]:
    """A run for each point and seed, numbered after those before."""
    every = [parameters for point in points for parameters in sweep.repeats(point)]
    return [place.run(number, stage, parameters) for number, parameters in enumerate(every, start=after + 1)]


def promoted(sweep: Sweep, place: Place, records: Sequence[RunRecord]) -> list[dict]:
    """The points whose replay earned a full run, and the baseline, which they are compared with; means over seeds."""
    score_of = {record.id: record.score for record in records if record.score is not None}
    scores = {}
    for number, point in enumerate(sweep.points):
        runs = listed(sweep, place, [point | sweep.promote.replay], "replay")
        if all(run.id in score_of for run in runs):
            scores[number] = float(np.mean([score_of[run.id] for run in runs]))
    if sweep.promote.keep is not None:
        chosen = sorted(scores, key=scores.get, reverse=True)[: sweep.promote.keep]
    elif 0 not in scores:
        raise BadInput(
            "the baseline's replay has no score",
            expected="one, for gains to be measured from",
            got="none",
            do="see its log; or promote by keep",
        )
    else:
        said = triage(scores, 0, ReplaySettings(promote=sweep.promote.gain))
        chosen = [number for number, verdict in said.items() if verdict == "promote"]
    return [point for number, point in enumerate(sweep.points) if number in {0, *chosen}]


def _make(sweep: Sweep, place: Place, source: Source, scheduler: str, before: Sequence[Run]) -> list[RunRecord]:
    """The records of a source's runs, in the order of their numbers."""
    write_sweep(sweep, place, [*before, *source.runs()])
    with closing(_engine(sweep, place, source.total, scheduler)) as engine:
        print(f"{sweep.name}: {source.total} runs of {sweep.notebook.stem}, {engine}", flush=True)
        stage = _Stage(sweep, place, source, engine, Progress(place.folder, sweep.varied))
        stage.make()
    runs = source.runs()
    write_sweep(sweep, place, [*before, *runs])
    return [record for run in runs if (record := read_record(place.folder, run.id))]


def _engine(sweep: Sweep, place: Place, wanted: int, scheduler: str) -> Engine:
    """What makes runs: the cluster, or this machine."""
    if scheduler:
        needed = [sweep.notebook, ROOT / "build/sweeps/one.py"]
        return Cluster(scheduler, place.folder, needed, sweep.resources)
    if unknown := set(sweep.resources) - {"GPU"}:
        raise BadInput(
            "this machine has no such resource",
            expected="GPU",
            got=", ".join(sorted(unknown)),
            do="drop it, or give ENGINE a cluster whose workers have it",
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
    _begun: dict[str, tuple[str, float]] = field(default_factory=dict)  # ISO time, and the clock's
    _behind: dict[str, str] = field(default_factory=dict)

    def make(self) -> None:
        """Make all runs of the source."""
        while self._start_some() or self._running:
            time.sleep(_LOOK_EVERY_S)
            for identity, how in self.engine.ended().items():
                self._has_ended(self._running.pop(identity), how)
            for identity, run in self._running.items():
                if identity not in self._behind and (why := self.source.behind(run)):
                    self._behind[identity] = why
                    (record_path(self.place.folder, identity).parent / STOP).touch()
            self.progress.tick(len(self._running), self.source.total)

    def _start_some(self) -> bool:
        """Begin runs while there is room; those that have ended before are not made again. False when none began."""
        begun = False
        while len(self._running) < self.engine.places and (run := self.source.next()):
            known = read_record(self.place.folder, run.id)
            if known and known.status != "failed":
                known = replace(known, number=run.number, stage=run.stage)  # its place in the table may have changed
                write_record(self.place.folder, known)
                self.progress.was_there(known)
                self.source.told(known)
                continue
            request = write_request(self.sweep, self.place, run)
            record_path(self.place.folder, run.id).unlink(missing_ok=True)
            self._running[run.id], begun = run, True
            self._begun[run.id] = datetime.now(UTC).astimezone().isoformat(timespec="seconds"), time.monotonic()
            self.engine.start(request)
        return begun

    def _has_ended(self, run: Run, how: str) -> None:
        """Take in the run's record; where it left none, record that it was ended, or lost."""
        record = read_record(self.place.folder, run.id)
        if record is None:
            record = self._unfinished(run, how)
            write_record(self.place.folder, record)
        self.source.told(record)
        self.progress.ended(record, self.source.total)

    def _unfinished(self, run: Run, how: str) -> RunRecord:
        """The record of a run that could not write one."""
        started, clock = self._begun[run.id]
        return RunRecord(
            **asdict(run),
            status="pruned" if run.id in self._behind else "failed",
            score=None,
            interval=None,
            per_fold={},
            seed=run.parameters.get("seed"),
            seconds=round(time.monotonic() - clock, 2),
            started=started,
            error=self._behind.get(run.id, how),
            notebook=f"runs/{run.id}/notebook.ipynb",
            member="",
            ledger=[],
        )
