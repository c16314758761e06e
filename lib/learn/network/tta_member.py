"""Views: a network member asked in another way is a member of its own, with its own scores, cost and probe."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from lib.competition.prepared import Prepared
from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.progress import progress
from lib.core.records import from_json, read_json, to_json
from lib.judge.leakage import Training, unseen_scores
from lib.learn.member_writer import seal_member
from lib.models.member.card import MemberCard, read_card
from lib.models.member.golden_output import golden_sound, write_golden_output
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.network import NetworkMember
from lib.models.member.tta import TTA, TTAPass
from lib.sound.decode import decode

TTA_PRESETS = {
    "shifts": TTA([TTAPass(), TTAPass(shift_s=-1.25, weight=2.0), TTAPass(shift_s=1.25, weight=2.0)]),  # 2nd: 1:2:2
    "half": TTA([TTAPass(), TTAPass(shift_s=2.5)]),  # 5th, and 2025's 2nd
    "s3": TTA([TTAPass(), TTAPass(backwards=True), TTAPass(gain_db=3.0), TTAPass(gain_db=-3.0)]),
    "long": TTA(overlaps=True),  # 2nd, of its networks that see 20 s
}
_TIMED = 8  # soundscapes


def find_tta(name: str) -> TTA:
    """The view of that name."""
    if name not in TTA_PRESETS:
        raise BadInput("no such view", expected=f"one of {', '.join(TTA_PRESETS)}", got=name, do="correct the name")
    return TTA_PRESETS[name]


def write_tta_member(source: Path, again: TTA, prepared: Prepared, competition: Path, folder: Path) -> MemberCard:
    """The card of a member in `folder` with the source's networks, asked again, and judged on what they never heard."""
    card = read_card(source, prepared.classes)
    if card.family != "network" or "tta" in card.config:
        raise BadInput(
            f"{card.name} cannot be asked again",
            expected="a network member that is asked plainly",
            got=f"{card.family}, a view" if "tta" in card.config else card.family,
            do="name the member that was trained",
        )
    if folder.resolve() == source.resolve():
        raise BadInput(
            "a view would replace its source",
            expected=f"another folder than {source}",
            got=folder,
            do="name the view otherwise",
        )
    unseen_scores(source, prepared.folds, related=prepared.related)
    plain = NetworkMember(source, card)
    networks = plain.with_tta(again)
    probe = networks.predict_each(golden_sound())
    if np.allclose(probe, plain.predict_each(golden_sound()), rtol=0, atol=1e-6):
        raise BadInput(
            f"{card.name} would answer as before",
            expected="a view that shows this network something else",
            got=to_json(again),
            do="leave the view out: it would cost time for nothing",
        )
    oof, seconds = _held_out(networks, prepared, competition)
    config = card.config | {"tta": to_json(again)}
    view = replace(
        card,
        name=folder.name,
        config=config,
        config_fingerprint=fingerprint.of_json([card.config_fingerprint, config["tta"]]),
        lib_fingerprint=fingerprint.of_lib(),
        seconds_per_soundscape=seconds,
    )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in sorted(source.glob("*.onnx")):
        shutil.copyfile(path, folder / path.name)
    write_golden_output(folder, probe)
    training = from_json(Training, read_json(source / "training.json"), f"{source.name}/training.json")
    seal_member(folder, view, oof, training)
    return view


def _held_out(networks: NetworkMember, prepared: Prepared, competition: Path) -> tuple[Scores, float]:
    """The labelled soundscapes, each by the network of the fold that holds it out; the seconds all take for one."""
    held = sorted(prepared.folds.of("soundscape").items())
    values, spent = [], []
    for stem, fold in progress(held, "asking again", len(held)):
        path = competition / "train_soundscapes" / f"{stem}.ogg"
        values.append(networks.predict_audio(decode(path), [fold]))
        if len(spent) < _TIMED:
            start = time.perf_counter()
            networks.predict(SoundscapeInputs(parse_soundscape(stem), decode(path)))
            spent.append(time.perf_counter() - start)
    rows = [row for stem, _ in held for row in row_ids(stem)]
    return Scores(np.concatenate(values), rows, prepared.classes.labels, "prob"), float(np.median(spent))
