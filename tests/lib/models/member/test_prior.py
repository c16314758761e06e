"""The prior follows the evidence, shrinks where there is little, and serves a new site by the hour."""

import numpy as np
import pytest

from lib.competition.row_ids import parse_soundscape
from lib.core.errors import BadInput
from lib.models.member.prior import Prior, PriorSettings, fit_prior, load_prior


def soundscape(site, hour):
    return parse_soundscape(f"BC2026_Test_0001_S{site:02d}_20250101_{hour:02d}0000")


@pytest.fixture(scope="module")
def prior():
    # class 0 calls at S01 only, class 1 at nine in the evening only, class 2 always, class 3 never
    sites, hours, truth = [], [], []
    for site in ("S01", "S02"):
        for hour in (6, 21):
            for _ in range(60):
                sites.append(site)
                hours.append(hour)
                truth.append([site == "S01", hour == 21, True, False])
    return fit_prior(sites, hours, np.array(truth), PriorSettings())


def test_site_and_hour_are_learned(prior):
    at = lambda site, hour: prior.windows(soundscape(site, hour))[0]  # noqa: E731 - a shorthand
    assert at(1, 21)[0] > 0.9 > 0.1 > at(2, 21)[0]
    assert at(1, 21)[1] > 0.9 > 0.1 > at(1, 6)[1]
    assert at(1, 6)[2] > 0.95
    assert at(1, 6)[3] < 0.05


def test_an_unknown_site_is_served_by_the_hour(prior):
    at = prior.windows(soundscape(77, 21))[0]
    assert 0.3 < at[0] < 0.7
    assert at[1] > 0.8


def test_an_hour_without_evidence_lies_between(prior):
    assert 0.2 < prior.windows(soundscape(77, 13))[0][1] < 0.8


def test_all_twelve_windows_are_alike_and_the_tables_survive_a_file(prior, tmp_path):
    windows = prior.windows(soundscape(1, 6))
    assert windows.shape == (12, 4)
    assert (windows == windows[0]).all()
    assert ((prior.rates > 0) & (prior.rates < 1.0001)).all()
    prior.save(tmp_path / "prior.npz")
    np.testing.assert_array_equal(
        load_prior(tmp_path / "prior.npz").windows(soundscape(2, 21)), prior.windows(soundscape(2, 21))
    )


@pytest.mark.parametrize("spoil", [lambda r: r * np.nan, lambda r: r - 2, lambda r: r[1:], lambda r: r[:, :3]])
def test_rates_that_are_no_probabilities_of_sites_and_hours_are_refused(tmp_path, spoil):
    rates = np.full((3, 24, 4), 0.5, dtype=np.float32)
    Prior(("S01", "S02"), rates).save(tmp_path / "prior.npz")
    assert load_prior(tmp_path / "prior.npz").sites == ("S01", "S02")
    Prior(("S01", "S02"), spoil(rates)).save(tmp_path / "prior.npz")
    with pytest.raises(BadInput, match=r"prior\.npz holds no site and hour rates"):
        load_prior(tmp_path / "prior.npz")
