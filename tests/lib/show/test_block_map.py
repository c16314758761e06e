"""Blocks are laid out flat by what spreads most, turned onto one another without a change of distances."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from lib.core.errors import BadInput
from lib.show.block_probe import principal_components, project_blocks, rotate_onto

CLIPS = np.random.default_rng(0).normal(size=(40, 6)) * [9, 5, 1, 1, 1, 1]


def test_principal_coordinates_are_sklearns_but_for_their_signs():
    centred = CLIPS - CLIPS.mean(axis=0)
    np.testing.assert_allclose(np.abs(principal_components(centred, 2)), np.abs(PCA(2).fit_transform(CLIPS)), atol=1e-9)


def test_a_block_of_one_channel_lies_on_a_line():
    places = principal_components(CLIPS[:, :1] - CLIPS[:, :1].mean(), 2)
    assert places.shape == (40, 2)
    assert places[:, 0].std() > 1
    assert not places[:, 1].any()


def test_a_turn_is_scipys_procrustes_and_undoes_any_turn_or_mirror():
    places = CLIPS[:, :2]
    angle = 2.1
    mirrored = places @ [[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]]
    np.testing.assert_allclose(rotate_onto(mirrored, places), places, atol=1e-9)
    other = CLIPS[:, 2:4]
    np.testing.assert_allclose(rotate_onto(other, places), other @ orthogonal_procrustes(other, places)[0], atol=1e-9)
    np.testing.assert_allclose(pdist(rotate_onto(other, places)), pdist(other))


def test_by_pca_blocks_are_their_standardised_principal_coordinates_on_one_scale_and_in_line():
    maps = project_blocks({"a": CLIPS, "b": -1000 * CLIPS[:, ::-1], "c": CLIPS**3}, "PCA", seed=0)
    assert list(maps) == ["a", "b", "c"]
    np.testing.assert_allclose(maps["b"], maps["a"], atol=1e-9)  # the same clips: same places
    expected = PCA(2).fit_transform(StandardScaler().fit_transform(CLIPS))
    ratio = pdist(expected) / pdist(maps["a"])
    np.testing.assert_allclose(ratio, ratio[0])
    for places in maps.values():
        np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-9)
        assert np.linalg.norm(places, axis=1).mean() == pytest.approx(1)


def test_each_block_is_turned_onto_the_one_before():
    maps = project_blocks({"a": CLIPS, "b": CLIPS**3, "c": np.sin(CLIPS)}, "PCA", seed=0)
    np.testing.assert_allclose(rotate_onto(maps["c"], maps["b"]), maps["c"], atol=1e-9)
    np.testing.assert_allclose(rotate_onto(maps["b"], maps["a"]), maps["b"], atol=1e-9)
    assert np.abs(rotate_onto(maps["c"], maps["a"]) - maps["c"]).max() > 0.01


def test_umap_where_it_is_not_installed_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match="set it to PCA, or install"):
        project_blocks({"a": CLIPS}, "UMAP", seed=0)


@pytest.mark.slow
def test_umap_keeps_species_together_and_repeats_itself():
    pytest.importorskip("umap")
    rng = np.random.default_rng(4)
    species = np.repeat(np.arange(3), 20)
    vectors = {"a": 6 * rng.normal(size=(3, 8))[species] + rng.normal(size=(60, 8))}
    maps = project_blocks(vectors, "UMAP", seed=0)
    np.testing.assert_allclose(maps["a"].mean(axis=0), 0, atol=1e-6)
    middles = np.stack([maps["a"][species == one].mean(axis=0) for one in range(3)])
    nearest = np.linalg.norm(maps["a"][:, None] - middles, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, species)
    np.testing.assert_array_equal(project_blocks(vectors, "UMAP", seed=0)["a"], maps["a"])
