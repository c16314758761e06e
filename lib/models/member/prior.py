"""L0: the rate of each class at a site and hour, shrunk towards the coarser table where evidence is thin."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE, Soundscape
from lib.core.errors import BadInput


@dataclass(frozen=True)
class PriorSettings:
    """Strength of the shrinkage, in windows of evidence; the chain of 2026's public notebooks uses these numbers."""

    windows_hour: float = 8.0
    windows_site: float = 8.0
    windows_site_hour: float = 4.0
    hour_sigma: float = 1.5


@dataclass(frozen=True, eq=False)
class Prior:
    """`rates` (sites + 1, 24, classes): the probability of each class; the last row serves sites without labels."""

    sites: tuple[str, ...]
    rates: np.ndarray

    def windows(self, soundscape: Soundscape) -> np.ndarray:
        """(12, classes) the same probabilities for each window of the soundscape."""
        site = self.sites.index(soundscape.site) if soundscape.site in self.sites else len(self.sites)
        return np.repeat(self.rates[site, soundscape.hour][None], WINDOWS_PER_SOUNDSCAPE, axis=0)

    def save(self, path: Path) -> None:
        """Write the tables."""
        np.savez(path, sites=np.array(self.sites), rates=self.rates.astype(np.float32))


def load_prior(path: Path) -> Prior:
    """The tables that `Prior.save` wrote; rates that are no probabilities are an error."""
    with np.load(path) as tables:
        prior = Prior(tuple(tables["sites"].tolist()), tables["rates"])
    if prior.rates.shape[:2] != (len(prior.sites) + 1, 24) or not ((prior.rates >= 0) & (prior.rates <= 1)).all():
        raise BadInput(
            f"{path} holds no site and hour rates",
            expected=f"({len(prior.sites) + 1}, 24, classes) probabilities",
            got=f"{prior.rates.shape}, {prior.rates.min():g} to {prior.rates.max():g}",
            do="run 02 again",
        )
    return prior


def fit_prior(sites: list[str], hours: list[int], truth: np.ndarray, settings: PriorSettings) -> Prior:
    """Rates from labelled windows: (windows,) sites and hours, (windows, classes) truth."""
    names = tuple(sorted(set(sites)))
    site_of, hour_of = np.array([names.index(site) for site in sites]), np.asarray(hours)
    present = np.zeros((len(names), 24, truth.shape[1]))
    counted = np.zeros((len(names), 24, 1))
    np.add.at(present, (site_of, hour_of), truth)
    np.add.at(counted, (site_of, hour_of), 1.0)
    overall = (truth.sum(axis=0) + 0.5) / (len(truth) + 1.0)
    kernel = _hour_kernel(settings.hour_sigma)
    by_hour = _shrink(
        np.einsum("ij,jc->ic", kernel, present.sum(axis=0)),
        kernel @ counted.sum(axis=0),
        overall[None],
        settings.windows_hour,
    )
    by_site = _shrink(present.sum(axis=1), counted.sum(axis=1), overall[None], settings.windows_site)
    coarse = np.clip(by_hour[None] * by_site[:, None] / overall, 0.0, 1.0)  # hour and site taken as independent
    fine = _shrink(present, counted, coarse, settings.windows_site_hour)
    return Prior(names, np.concatenate([fine, by_hour[None]]).astype(np.float32))


def _shrink(present: np.ndarray, counted: np.ndarray, towards: np.ndarray, strength: float) -> np.ndarray:
    """Rates of `present` in `counted` windows, as if `strength` more windows had shown the coarser rate."""
    return (present + strength * towards) / (counted + strength)


def _hour_kernel(sigma: float) -> np.ndarray:
    """(24, 24) smoothing weights around the clock, 1 at the hour itself."""
    hours = np.arange(24)
    distance = np.minimum((hours[:, None] - hours) % 24, (hours - hours[:, None]) % 24)
    return np.exp(-0.5 * (distance / sigma) ** 2)
