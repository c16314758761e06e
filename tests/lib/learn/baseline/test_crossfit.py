"""Baselines fitted again are the same members, however long their measurements took."""

from lib.competition.prepared import load_prepared
from lib.core.records import MEASURED, check_seal
from lib.learn.baseline.crossfit import ClassicalSettings, fit_prior_member, fit_statistics_member
from lib.learn.baseline.logistic import LogisticSettings
from lib.models.member.prior import PriorSettings
from lib.submit.engine import open_members


def test_members_fitted_again_are_those_of_the_recipe(members, recipe, prepared_folder, public, classes, tmp_path):
    prepared = load_prepared(prepared_folder)
    fit_prior_member(prepared, tmp_path / "l0_prior", PriorSettings())
    fit_statistics_member(
        prepared, public, tmp_path / "l1_statistics", ClassicalSettings(), LogisticSettings(max_iterations=20)
    )
    again = sorted(tmp_path.iterdir())
    for folder in again:
        assert check_seal(folder) == check_seal(members / folder.name)
        assert (folder / MEASURED).read_bytes() != (members / folder.name / MEASURED).read_bytes()
    assert open_members(recipe, again, classes).unavailable == {}
