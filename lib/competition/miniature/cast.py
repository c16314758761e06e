"""The cast: every species with its song, its hours and guild, its abundance, and its presence in the test."""

from dataclasses import dataclass, replace

import numpy as np

from lib.competition.miniature.calls import Song
from lib.competition.miniature.spec import MiniatureSpec
from lib.competition.miniature.species import Taxon, birds, frogs, insects, mammals, reptiles

GUILDS = ("marsh", "gallery forest", "savanna", "farm")
_BIRD_BANDS_HZ = (1250.0, 1900.0, 2700.0, 3700.0, 5000.0)
_FROG_BANDS_HZ = (650.0, 1150.0, 1900.0, 2700.0)
_INSECT_BANDS_HZ = (4300.0, 5600.0, 7200.0)

# Forms that share a band have the same mean spectrum: only time separates them, which is what a network must learn.
_BIRD_FORMS = (
    Song("voice", 1.0, 0.42, syllables=2, gap_s=0.12, sweep_octaves=0.5),
    Song("voice", 1.0, 0.42, syllables=2, gap_s=0.12, sweep_octaves=-0.5),
    Song("voice", 1.0, 0.035, syllables=20, gap_s=0.03, steps_octaves=(-0.2, -0.1, 0.0, 0.1, 0.2)),
    Song("voice", 1.0, 0.11, syllables=7, gap_s=0.09, sweep_octaves=-0.45, partials=(1.0, 0.4)),
    Song("voice", 1 / 3, 0.25, syllables=3, gap_s=0.2, sweep_octaves=0.2, partials=(0.5, 0.7, 1.0, 0.6, 0.3)),
    Song("voice", 1.0, 1.0, vibrato_hz=13.0, vibrato_octaves=0.22),
    Song("voice", 1.0, 0.06, syllables=10, gap_s=0.2, drift=0.82, sweep_octaves=0.4),
    Song("voice", 1.0, 0.16, syllables=6, gap_s=0.14, steps_octaves=(-0.22, 0.22)),
)
_FROG_PULSES_PER_S = (11.0, 24.0, 48.0)
_INSECT_BEATS_HZ = (2.6, 9.0, 28.0, 75.0)
_BEAST_SONGS = (
    Song(
        "voice",
        110,
        1.6,
        partials=(1, 0.9, 0.8, 0.6, 0.4, 0.3),
        breath=0.35,
        sweep_octaves=0.3,
        rough_hz=17,
        rough_depth=0.5,
    ),
    Song(
        "voice",
        420,
        0.16,
        syllables=3,
        gap_s=0.35,
        partials=(1, 0.8, 0.5, 0.3),
        breath=0.5,
        sweep_octaves=-0.6,
        attack=0.1,
    ),
    Song("voice", 190, 1.1, partials=(1, 0.9, 0.7, 0.5, 0.4, 0.2), breath=0.15, sweep_octaves=-0.5, attack=0.4),
    Song(
        "voice", 95, 0.32, syllables=6, gap_s=0.3, partials=(1, 0.9, 0.6, 0.4), breath=0.6, rough_hz=30, rough_depth=0.7
    ),
    Song("voice", 480, 0.9, partials=(0.8, 1, 0.6, 0.4), sweep_octaves=-0.9, rough_hz=11, rough_depth=0.6),
)
_CAIMAN = Song(
    "voice",
    75,
    0.9,
    syllables=2,
    gap_s=0.5,
    partials=(1, 1, 0.9, 0.7, 0.5, 0.4),
    breath=0.3,
    rough_hz=24,
    rough_depth=0.8,
    attack=0.15,
)
# Hours are UTC; the Pantanal's clocks show four hours less, so birds sing at 9 to 11 and again at 20 to 22.
_PEAK_HOURS = {
    "Aves": (10.0, 21.0),
    "Amphibia": (23.5,),
    "Insecta": (22.0,),
    "Mammalia": (9.0, 22.0),
    "Reptilia": (1.0,),
}
_ABUNDANCE = {"Aves": 0.5, "Amphibia": 0.8, "Insecta": 0.7, "Mammalia": 0.28, "Reptilia": 0.25}


@dataclass(frozen=True)
class Species:
    """One class of the contest: its taxonomy row, its song, and the habits that decide when it calls."""

    taxon: Taxon
    focal: bool
    rank: int
    guild: str
    song: Song
    peak_hours: tuple[float, ...]
    abundance: float
    mirror_of: str = ""
    in_test: bool = True

    @property
    def label(self) -> str:
        """The class label, always text."""
        return self.taxon.primary_label


def make_cast(spec: MiniatureSpec) -> list[Species]:
    """All species in class order: the string order of their labels."""
    sonotypes, mute = spec.n_sonotypes, spec.n_mute_amphibia
    troupes = (
        birds(spec.n_aves),
        frogs(spec.n_amphibia, mute),
        insects(spec.n_insecta, sonotypes),
        mammals(spec.n_mammalia),
        reptiles(spec.n_reptilia),
    )
    silent = {taxon.primary_label for taxon in troupes[1][:mute] + troupes[2][:sonotypes]}
    cast = [
        _species(spec, taxon, index, taxon.primary_label not in silent)
        for troupe in troupes
        for index, taxon in enumerate(troupe)
    ]
    cast = _with_test_roles(spec, _with_mirrors(spec, cast))
    return sorted(cast, key=lambda species: species.label)


def _species(spec: MiniatureSpec, taxon: Taxon, index: int, focal: bool) -> Species:
    """A species with its song and habits; `index` is its rank in its animal class, 0 = commonest."""
    rng = spec.stream("species", taxon.primary_label)
    spread = {"Aves": spec.n_aves, "Amphibia": spec.n_amphibia, "Insecta": spec.n_insecta}.get(taxon.class_name, 4)
    crowd = (8 / max(8, spread)) ** 0.8  # wide casts share the same air
    return Species(
        taxon,
        focal=focal,
        rank=index,
        guild=GUILDS[int(rng.integers(len(GUILDS)))],
        song=_song(taxon.class_name, index, rng),
        peak_hours=tuple(hour + float(rng.normal(0, 2.2)) for hour in _PEAK_HOURS[taxon.class_name]),
        abundance=_ABUNDANCE[taxon.class_name] * crowd * 1.6 * 0.15 ** (index / max(1, spread)),
    )


def _song(class_name: str, index: int, rng: np.random.Generator) -> Song:
    """The song of the index-th species of an animal class: bands repeat before forms do."""
    if class_name == "Aves":
        band, form = index % len(_BIRD_BANDS_HZ), index // len(_BIRD_BANDS_HZ) + index % len(_BIRD_BANDS_HZ)
        song = _BIRD_FORMS[form % len(_BIRD_FORMS)]
        tempo = 2 ** rng.uniform(-0.25, 0.25)
        pitch_hz = song.pitch_hz * _BIRD_BANDS_HZ[band] * 2 ** rng.normal(0, 0.05)
        return replace(song, pitch_hz=pitch_hz, syllable_s=song.syllable_s * tempo, gap_s=song.gap_s / tempo)
    if class_name == "Amphibia":
        band = index % len(_FROG_BANDS_HZ)
        pulses_per_s = _FROG_PULSES_PER_S[(index + index // len(_FROG_BANDS_HZ)) % len(_FROG_PULSES_PER_S)]
        pulse_s = 0.55 / pulses_per_s
        return Song(
            "voice",
            _FROG_BANDS_HZ[band] * 2 ** rng.normal(0, 0.06),
            pulse_s,
            syllables=max(4, round(pulses_per_s * rng.uniform(0.4, 1.1))),
            gap_s=1 / pulses_per_s - pulse_s,
            sweep_octaves=rng.uniform(-0.2, 0.2),
            partials=(1.0, 0.35, 0.12),
            attack=0.15,
        )
    if class_name == "Insecta":
        band = index % len(_INSECT_BANDS_HZ)
        beat_hz = _INSECT_BEATS_HZ[(index + index // len(_INSECT_BANDS_HZ)) % len(_INSECT_BEATS_HZ)]
        return Song(
            "buzz",
            _INSECT_BANDS_HZ[band] * 2 ** rng.normal(0, 0.06),
            rng.uniform(4, 11),
            breath=rng.uniform(0.02, 0.06),
            partials=(1.0, 0.2),
            rough_hz=beat_hz,
            rough_depth=0.95,
        )
    song = _CAIMAN if class_name == "Reptilia" else _BEAST_SONGS[index % len(_BEAST_SONGS)]
    return replace(song, pitch_hz=song.pitch_hz * 2 ** rng.normal(0, 0.1))


def _with_mirrors(spec: MiniatureSpec, cast: list[Species]) -> list[Species]:
    """The cast with the later members of every mirror group bound to the first."""
    leader = {
        f"47158son{number:02d}": f"47158son{group[0]:02d}" for group in spec.mirrors for number in sorted(group)[1:]
    }
    return [replace(species, mirror_of=leader.get(species.label, "")) for species in cast]


def _with_test_roles(spec: MiniatureSpec, cast: list[Species]) -> list[Species]:
    """The cast with a share of the species absent from the test; the commonest of a class are always in it."""
    leaders = {species.label for species in cast if species.rank == 0} | {species.mirror_of for species in cast}
    optional = [s.label for s in cast if s.label not in leaders and not s.mirror_of]
    n_absent = min(len(optional), round((1 - spec.test_share) * len(cast)))
    absent = set(spec.stream("absent from test").permutation(optional)[:n_absent].tolist())
    return [replace(species, in_test=(species.mirror_of or species.label) not in absent) for species in cast]
