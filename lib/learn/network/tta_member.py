"""TTA members: a network member with test-time augmentation is a member of its own, with scores, cost and output."""

import shutil
from pathlib import Path

import numpy as np

from lib.competition.prepared import Prepared
from lib.competition.row_ids import parse_soundscape
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.records import from_json, read_json, to_json
from lib.judge.leakage import Training, load_oof_scores
from lib.learn.member_writer import empty_folder, median_seconds, score_held_out, write_member
from lib.models.member.card import MemberCard, read_card
from lib.models.member.golden_output import golden_sound
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


def find_tta(name: str) -> TTA:
    """The TTA preset of that name."""
    if name not in TTA_PRESETS:
        known = ", ".join(TTA_PRESETS)
        raise BadInput("no such TTA preset", expected=f"one of {known}", got=name, do="set tta to some of these")
    return TTA_PRESETS[name]


def write_tta_member(source: Path, tta: TTA, prepared: Prepared, competition: Path, folder: Path) -> MemberCard:
    """Write a member with the source's networks and this TTA, scored out of fold, and return its card."""
    card = read_card(source, prepared.classes)
    if card.family != "network" or "tta" in card.config:
        raise BadInput(
            f"{card.name} cannot be given TTA",
            expected="a network member without TTA",
            got=f"{card.family}, with TTA already" if "tta" in card.config else card.family,
            do="name the member that was trained",
        )
    if folder.resolve() == source.resolve():
        raise BadInput(
            "a TTA member would replace its source",
            expected=f"another folder than {source}",
            got=folder,
            do="give the TTA member another name",
        )
    load_oof_scores(source, prepared.folds, related=prepared.related)
    plain = NetworkMember(source, card)
    networks = plain.with_tta(tta)
    golden = networks.predict_each(golden_sound())
    if np.allclose(golden, plain.predict_each(golden_sound()), rtol=0, atol=1e-6):
        raise BadInput(
            f"{card.name} would predict the same with this TTA",
            expected="TTA that changes what this network sees",
            got=to_json(tta),
            do="leave this TTA out: it would cost time for nothing",
        )

    def audio_of(stem: str) -> np.ndarray:
        return decode(competition / "train_soundscapes" / f"{stem}.ogg")

    def predict(stem: str) -> np.ndarray:
        return networks.predict(SoundscapeInputs(parse_soundscape(stem), audio_of(stem)))

    oof = score_held_out(prepared, lambda stem, fold: networks.predict_audio(audio_of(stem), [fold]))
    seconds = median_seconds(predict, sorted(set(prepared.windows.stem)))
    empty_folder(folder)
    for path in sorted(source.glob("*.onnx")):
        shutil.copyfile(path, folder / path.name)
    return write_member(
        folder,
        prepared,
        oof,
        from_json(Training, read_json(source / "training.json"), f"{source.name}/training.json"),
        family="network",
        config=card.config | {"tta": to_json(tta)},
        config_fingerprint=fingerprint.of_json([card.config_fingerprint, to_json(tta)]),
        seed=card.seed,
        inputs=card.inputs,
        outputs=card.outputs,
        seconds=seconds,
        parity=card.measured.parity_max_abs,
        golden_output=golden,
    )
