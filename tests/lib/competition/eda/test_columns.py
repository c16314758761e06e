"""Each column has a role, its gaps and values are counted, and its prediction of the label is a fair guess."""

import pandas as pd
import pytest

from lib.competition.eda.columns import ROLES, label_information, metadata_roles
from lib.competition.tables import TRAIN, Findings, read_clips, read_windows

LABELS = pd.Series(list("aaabbbcc"))


@pytest.mark.parametrize(
    ("values", "share"),
    [
        (list("aaabbbcc"), 1.0),  # another name of the label
        (list("12345678"), 0.0),  # alone with its value, an item has no other to predict from
        (list("xxxxxxyy"), 2 / 8),  # among the x, an a has two other a and three b against it, as a b has; c is alone
        (list("xxxxyyyy"), 3 / 8),  # among the x, a wins; among the y, a b has one other b and two c against it
    ],
)
def test_a_column_predicts_the_commonest_label_of_the_other_items_with_its_value(values, share):
    assert label_information(pd.Series(values), LABELS) == share


@pytest.fixture
def spoilt(tables):
    path = tables / "train.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table["secondary_labels"] = "[]"
    table["rating"] = ["0.0", "0", "", *["4.5"] * (len(table) - 3)]
    table["weather"] = "rain"
    table.to_csv(path, index=False)
    return tables


def test_roles_count_gaps_values_and_name_the_unknown(spoilt, classes):
    findings = Findings()
    clips, windows = read_clips(spoilt, classes, findings), read_windows(spoilt, classes, findings)
    clips = clips.assign(seconds=7.0, rms=0.1)
    roles = metadata_roles(spoilt, clips, windows).set_index("column")
    assert roles.index.tolist() == [
        *TRAIN,
        "weather",
        "seconds",
        "rms",
        "site",
        "date",
        "group",
        "hour",
        "month",
    ]
    assert roles.loc["secondary_labels", ["role", "missing", "distinct"]].tolist() == ["target", "100%", 0]
    assert roles.missing["rating"] == f"{3 / len(clips):.0%}" != "0%"
    assert roles.distinct["rating"] == 1
    assert roles.role["weather"] == "leakage risk"
    assert "unknown" in roles.reason["weather"]
    assert roles.distinct["month"] == windows.date.str[4:6].nunique()
    share = clips.primary_label.value_counts(normalize=True).iloc[0]
    predicts = roles[f"predicts the label ({share:.0%} by chance)"]
    assert predicts["site"] == ""
    assert predicts["filename"] == "0%"
    assert predicts["seconds"] == predicts["weather"] == predicts["secondary_labels"] == f"{share:.0%}"


def test_each_role_is_one_of_four():
    assert {role for role, _ in ROLES.values()} == {"target", "feature", "split key", "leakage risk"}
