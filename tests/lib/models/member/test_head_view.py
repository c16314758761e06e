"""A head reads windows in several orders, and sites as numbers."""

from lib.models.member.head import site_number, window_orders


def test_a_site_is_numbered_from_one_and_unknown_ones_are_zero():
    assert [site_number(site, ["S03", "S10"]) for site in ("S03", "S10", "S04")] == [1, 2, 0]


def test_the_orders_of_windows_roll_and_reverse():
    plain, late, back = window_orders([0, 2], True)
    assert plain.tolist() == list(range(12))
    assert late.tolist() == [10, 11, *range(10)]
    assert back.tolist() == list(range(11, -1, -1))
