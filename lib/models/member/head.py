"""L3 members at inference: heads on an embedder's output, which is computed once for all heads of a soundscape."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from lib.competition.classes import ClassList
from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE, Soundscape
from lib.core.errors import BadInput, shorten
from lib.core.paths import folders_below, manifest_kind
from lib.core.records import identity_of
from lib.models.embedder.packed import Embedder, open_embedder
from lib.models.member.averaging import average_folds
from lib.models.member.card import MemberCard, find_fold, fold_files
from lib.models.member.golden_output import check_golden_output, golden_sound
from lib.models.member.inputs import SoundscapeInputs
from lib.models.runtime.onnx import OnnxSession
from lib.sound.decode import soundscape_windows

HEAD_OUTPUTS = ["logit"]
_NEAR = 3  # levels: a notebook's output has members/ beside embedders/, a dataset a folder each


def window_orders(rolls: Sequence[int], flip: bool) -> list[np.ndarray]:
    """The orders (12,) in which a head reads a soundscape's windows: rolled by so many each, and reversed if `flip`."""
    order = np.arange(WINDOWS_PER_SOUNDSCAPE)
    return [*(np.roll(order, roll) for roll in rolls), *([order[::-1]] if flip else [])]


def site_number(site: str, names: Sequence[str]) -> int:
    """The number of a site in a head's input: from 1 in the order of the names, 0 if it is none of them."""
    return 1 + names.index(site) if site in names else 0


class HeadSessions:
    """The opened files of the folds: probabilities from tokens (files, 12, width), sites and hours."""

    def __init__(self, folder: Path, inputs: list[str], config: dict):
        files = fold_files(folder, ".onnx")
        self._sessions = {fold: OnnxSession(path, inputs=inputs, outputs=HEAD_OUTPUTS) for fold, path in files.items()}
        self._inputs, self._sites = inputs, config["sites"]
        self._orders = window_orders(config["rolls"], config["flip"])

    @property
    def folds(self) -> list[int]:
        """The folds' numbers."""
        return list(self._sessions)

    def probabilities(
        self,
        tokens: Mapping[str, np.ndarray],
        sites: Sequence[str],
        hours: Sequence[int] | np.ndarray,
        folds: Iterable[int],
    ) -> np.ndarray:
        """(files, 12, classes) the mean probabilities of these folds."""
        return average_folds("head", [self._logits(tokens, sites, hours, fold) for fold in folds])

    def _logits(
        self, tokens: Mapping[str, np.ndarray], sites: Sequence[str], hours: Sequence[int] | np.ndarray, fold: int
    ) -> np.ndarray:
        """(files, 12, classes) the mean over the orders of windows, each put back in time."""
        numbers = np.array([site_number(site, self._sites) for site in sites], dtype=np.int64)
        available = {**tokens, "site": numbers, "hour": np.asarray(hours, dtype=np.int64)}
        feed = {name: available[name] for name in self._inputs}
        outputs = []
        for order in self._orders:
            reordered = {name: value if value.ndim == 1 else value[:, order] for name, value in feed.items()}
            outputs.append(self._sessions[fold].run(**reordered)[0][:, np.argsort(order)])
        return np.mean(outputs, axis=0)


class HeadMember:
    """The opened head and its embedder, once they reproduce the golden output."""

    def __init__(self, folder: Path, card: MemberCard, classes: ClassList):
        self._name, self._embedder = card.name, _find_embedder(folder, card, classes)
        self._heads = HeadSessions(folder, card.inputs, card.config)
        golden, tokens = golden_soundscape(card.config["sites"]), golden_tokens(self._embedder)
        check_golden_output(
            folder, lambda _: np.array([self._probabilities(tokens, golden, [fold]) for fold in self._heads.folds])
        )

    def predict(self, inputs: SoundscapeInputs, folds: Sequence[int] | None = None) -> np.ndarray:
        """(12, classes) probabilities in the windows of a soundscape: the mean of these folds' heads, or of all."""
        tokens = inputs.get_or_compute(
            ("tokens", self._embedder.manifest), lambda: self._embedder.embed(inputs.windows()).by_name()
        )
        return self._probabilities(tokens, inputs.soundscape, self._heads.folds if folds is None else folds)

    def for_fold(self, fold: int) -> Callable[[SoundscapeInputs], np.ndarray]:
        """The same by the head of one fold alone."""
        find_fold(dict.fromkeys(self._heads.folds), fold, self._name)
        return lambda inputs: self.predict(inputs, [fold])

    def _probabilities(
        self, tokens: Mapping[str, np.ndarray], soundscape: Soundscape | None, folds: Sequence[int]
    ) -> np.ndarray:
        one = {name: value[None] for name, value in tokens.items()}
        site, hour = (soundscape.site, soundscape.hour) if soundscape else ("", 0)  # for heads that read neither
        return self._heads.probabilities(one, [site], [hour], folds)[0]


def golden_soundscape(sites: Sequence[str]) -> Soundscape:
    """The place and time given to the golden sound: the first site, at six."""
    return Soundscape("golden", "Train", "0", sites[0], "20260101", "060000")


@lru_cache(maxsize=1)  # an embedder is opened once a process, and embeds the golden sound once for all its heads
def golden_tokens(embedder: Embedder) -> dict[str, np.ndarray]:
    """An embedder's tokens of the golden sound's twelve windows."""
    return embedder.embed(soundscape_windows(golden_sound())).by_name()


def _find_embedder(folder: Path, card: MemberCard, classes: ClassList) -> Embedder:
    """The embedder on which the head was fitted: it lies near the member, wherever both were put together."""
    name, manifest = card.config["embedder"], card.config["embedder_manifest"]
    tops = folder.resolve().parents[:_NEAR]
    near = [found for top in tops for found in folders_below(top, _NEAR) if found.name == name]
    embedders = [found for found in near if manifest_kind(found) == "embedder"]
    for found in embedders:
        if identity_of(found) == manifest:
            return open_embedder(found, classes)
    if embedders:
        raise BadInput(
            f"the embedder {name} is not the one that member {card.name} was fitted on",
            expected=f"manifest {manifest}",
            got=shorten(embedders),
            do="fit the head again, or attach the embedder it was fitted on",
        )
    raise BadInput(
        f"member {card.name} needs the embedder {name}, which is not there",
        expected="its folder, as beside members/ in embedders/",
        got=f"nothing below {tops[-1]}",
        do="attach the output that holds both",
    )
