"""Clusters hold together through others; copies move to their original's group, shared recordings merge groups."""

from lib.competition.folds import clusters, merge_related_groups, move_related_items


def test_a_cluster_has_the_first_of_its_names():
    pairs = [("c", "d"), ("b", "c"), ("e", "f"), ("a", "b")]
    assert clusters(pairs) == dict.fromkeys("abcd", "a") | {"e": "e", "f": "e"}
    assert clusters([]) == {}


def test_a_copy_moves_to_its_original_and_the_rest_of_its_group_stays():
    assert move_related_items(["a", "b", "c"], ["x", "y", "y"], [("b", "a")]) == ["x", "x", "y"]


def test_groups_that_share_a_recording_become_one_with_all_they_hold():
    items, groups = ["a", "b", "c", "d"], ["x", "y", "y", "z"]
    assert merge_related_groups(items, groups, [("a", "b")]) == ["x", "x", "x", "z"]
    assert merge_related_groups(items, groups, []) == groups


def test_items_are_related_through_one_that_is_not_listed():
    through = [("a", "elsewhere"), ("elsewhere", "d")]
    items, groups = ["a", "b", "d"], ["x", "y", "z"]
    assert merge_related_groups(items, groups, through) == ["x", "y", "x"]
    assert move_related_items(items, groups, through) == ["x", "y", "x"]
