"""Each template is a usable recipe with its source's numbers, with or without its optional roles."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import rankdata

from lib.blend.evaluate import evaluate
from lib.blend.recipe import Recipe, RecipeMember
from lib.blend.recipe_file import load_recipe, save_recipe
from lib.blend.search.nested import nested_scores, refit_without_each_fold
from lib.blend.sidecar.apply import SidecarSettings
from lib.blend.sidecar.gate import fit_gate
from lib.blend.templates.registry import TEMPLATES, find_template, template_table
from lib.blend.templates.roles import TemplateInputs, default_roles, make_mixes, parse_roles
from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels, Scores
from lib.competition.tables import TAXONOMY
from lib.core.errors import BadInput
from lib.models.member.card import Measured, MemberCard

TAXA = {
    "bird1": ("Turdus rufiventris", "Aves"),
    "bird2": ("Turdus amaurochalinus", "Aves"),
    "bird3": ("Tyto furcata", "Aves"),
    "frog1": ("Boana raniceps", "Amphibia"),
    "frog2": ("Boana punctata", "Amphibia"),
    "son01": ("Insect son01", "Insecta"),
    "son02": ("Insect son02", "Insecta"),
    "cicada": ("Quesada gigas", "Insecta"),
    "dog": ("Canis familiaris", "Mammalia"),
    "caiman": ("Caiman yacare", "Reptilia"),
}
CLASSES = tuple(TAXA)
TABLE = pd.DataFrame([(label, "1", latin, "x", taxon) for label, (latin, taxon) in TAXA.items()], columns=TAXONOMY)
INSECTS = ["son01", "son02", "cicada"]
STEMS = [f"BC2026_Train_{n:04d}_S{n % 5:02d}_202501{1 + n // 5:02d}_000000" for n in range(30)]
ROWS = tuple(row for stem in STEMS for row in row_ids(stem))
FOLD = np.repeat([n % 5 for n in range(30)], 12)
HELPS = np.where(np.isin(CLASSES, ["frog2"]), 6.0, -4.0)  # of a side that helps one class, and harms the others
MAPPED = frozenset({"bird1", "bird2", "frog1"})


def truth():
    values = np.random.default_rng(0).random((len(ROWS), len(CLASSES))) < 0.2
    values[:, 6] = values[:, 5]  # two sonotypes that are one sound
    return values


def member(seed, strength=1.0):
    """Probabilities from log-odds that rise by `strength`, of all classes or of each, where a class is present."""
    noise = np.random.default_rng(seed).normal(size=(len(ROWS), len(CLASSES)))
    return Scores(expit(noise - 1.5 + truth() * strength), ROWS, CLASSES, "prob")


def member_for_each_role(template):
    """A member of its own for each role."""
    return {role.name: f"m {role.name}" for role in template.roles}


def inputs(names, **strengths):
    parts = {name: member(seed + 1, strengths.get(name.removeprefix("m "), 1.0)) for seed, name in enumerate(names)}
    return TemplateInputs(TABLE, Labels(truth(), ROWS, CLASSES, FOLD), parts, MAPPED)


def recipe_of(made):
    members = [RecipeMember(name, "", 0.0) for name in made.members]
    return Recipe("safe", "hash", "folds", members, made.mixes, members[0].name, 0.5, [0.4, 0.6], 9)


def made_of(name, *, roles=None, **strengths):
    """A template's mixes, their recipe, and its result, with members for these roles, or for all."""
    template = TEMPLATES[name]
    assignment = {role: who for role, who in member_for_each_role(template).items() if roles is None or role in roles}
    from_what = inputs(assignment.values(), **strengths)
    made = make_mixes(template, assignment, from_what)
    recipe = recipe_of(made)
    return made, recipe, recipe.execute(from_what.parts)


def required(name):
    return [role.name for role in TEMPLATES[name].roles if role.required]


def steps_named(made, name):
    return [step.parameters for mix in made.mixes for step in mix.steps if step.name == name]


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("everybody", [True, False], ids=["all roles", "required roles"])
def test_a_template_executes_to_ranks_and_survives_its_file(name, everybody, tmp_path):
    made, recipe, outcome = made_of(name, roles=None if everybody else required(name))
    scores = outcome.scores
    assert scores.kind == "rank"
    assert (scores.row_ids, scores.classes) == (ROWS, CLASSES)
    assert (np.ptp(scores.values, axis=0) > 0.3).all()
    assert sum(recipe.weights.values()) == pytest.approx(1.0)
    assert [mix.name for mix in made.mixes] == list(dict.fromkeys(mix.name for mix in made.mixes))
    save_recipe(tmp_path, recipe)
    assert load_recipe(tmp_path / "safe.json") == recipe
    wanted = len(TEMPLATES[name].roles) if everybody else len(required(name))
    # a sidecar that has earned nothing is the one role with a member that may stay out
    assert len(made.members) + sum("earned" in line for line in made.left_out) == wanted


@pytest.mark.parametrize("name", TEMPLATES)
def test_without_its_optional_roles_a_template_names_the_missing_roles(name):
    made, *_ = made_of(name, roles=required(name))
    optional = [role.name for role in TEMPLATES[name].roles if not role.required]
    assert made.left_out == tuple(f"{role}: no member" for role in optional)
    assert set(made.members) == {f"m {role}" for role in required(name)}


@pytest.mark.parametrize("name", TEMPLATES)
def test_without_a_required_role_a_template_names_its_roles(name):
    roles = required(name)
    with pytest.raises(BadInput, match=f"no member for {roles[-1]}") as refusal:
        made_of(name, roles=[role.name for role in TEMPLATES[name].roles if role.name != roles[-1]])
    for role in TEMPLATES[name].roles:
        assert f"{role.name}{'' if role.required else ' (optional)'}: {role.description}" in str(refusal.value)


@pytest.mark.parametrize(
    ("roles", "fault"),
    [
        ({"proto": "a", "sed": "b", "drums": "a"}, "no role drums"),
        ({"proto": "a", "sed": "c"}, r"no scores of c \(sed\)"),
    ],
)
def test_a_role_or_member_that_is_not_there_is_named(roles, fault):
    with pytest.raises(BadInput, match=fault):
        make_mixes(TEMPLATES["vlom"], roles, inputs("ab"))


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("s0", {"proto": 0.54, "sed": 0.36, "b3": 0.1 / 3, "b3_refined": 0.1 / 3, "convnext": 0.1 / 3}),
        ("s2", {"proto": 0.558, "sed": 0.372, "seq": 0.07, "prior": 0.0}),
        ("s4", {"proto": 0.967 * 0.6, "sed": 0.967 * 0.4, "yukiz": 0.012, "pssm": 0.021, "birdnet": 0.0}),
        ("chain_b", {"proto": 0.6, "mlps": 0.4, "prior": 0.0}),
        ("chain_e", {"proto": 0.36, "mlps": 0.24, "prior": 0.0, "sed": 0.4}),
        (
            "second",
            dict(zip(("proto", "xc", "round1"), [0.25 / 1.35] * 3, strict=True))
            | dict(zip(("round3", "round4", "round5"), [0.2 / 1.35] * 3, strict=True))
            | {"insects": 0.0},
        ),
        ("vlom", {"sed": 0.3, "proto": 0.7}),
        ("s3", {role.name: 1 / 40 for role in TEMPLATES["s3"].roles}),
    ],
)
def test_the_members_weights_are_the_sources(name, weights):
    _, recipe, _ = made_of(name)
    got = {member.removeprefix("m "): weight for member, weight in recipe.weights.items()}
    got.pop("pcen", None)  # which may have earned its place or not
    assert got == pytest.approx(weights, abs=1e-12)


def test_s4s_anchor_shows_the_sources_own_digits():
    made, *_ = made_of("s4")
    assert [part.weight for part in made.mixes[1].parts] == [0.012, 0.021, 0.967]
    assert [part.weight for part in made.mixes[0].parts] == [0.6, 0.4]


@pytest.mark.parametrize("name", ["s2", "s4", "chain_e"])
def test_relatives_share_and_sonotypes_are_no_genus(name):
    made, *_ = made_of(name)
    genus, taxon = steps_named(made, "smooth_in_groups")
    assert genus == {"groups": [["bird1", "bird2"], ["frog1", "frog2"]], "share": 0.15}
    assert taxon == {"groups": [["bird1", "bird2", "bird3"], ["frog1", "frog2"], INSECTS], "share": 0.05}


def test_ranks_do_not_mind_that_s0s_triplet_is_one_member_short():
    _, recipe, _ = made_of("s0", roles=["proto", "sed", "b3", "convnext"])
    assert recipe.weights == pytest.approx({"m proto": 0.54, "m sed": 0.36, "m b3": 0.05, "m convnext": 0.05})


def test_s3_is_the_mean_over_models_of_the_mean_logits_over_variants():
    roles = ["model1", "model1 reversed", "model2"]
    _, _, outcome = made_of("s3", roles=roles)
    first, turned, second = (
        logit(part.values.astype(float)) for part in inputs([f"m {role}" for role in roles]).parts.values()
    )
    expected = rankdata((first / 2 + turned / 2 + second) / 2, axis=0) / len(ROWS)
    np.testing.assert_allclose(outcome.scores.values, expected, atol=2 / len(ROWS))


def test_the_chains_first_pass_is_of_logits_with_the_prior_and_less_proto_where_perch_has_no_output():
    roles = ["proto", "mlps", "prior"]
    parts = inputs([f"m {role}" for role in roles]).parts
    proto, mlps, prior = (logit(parts[f"m {role}"].values.astype(float)) for role in roles)
    share = np.where([label in MAPPED for label in CLASSES], 0.6, 0.35)
    expected = rankdata(share * proto + (1 - share) * (mlps + 0.4 * prior), axis=0) / len(ROWS)
    _, _, outcome = made_of("chain_a")
    np.testing.assert_allclose(outcome.scores.values, expected, atol=2 / len(ROWS))


def test_each_stage_of_the_chain_is_the_one_before_and_more():
    stages = [made_of(f"chain_{letter}")[0].mixes for letter in "abcde"]
    for before, after in pairwise(stages[:4]):
        bare = replace(before[-1], steps=[step for step in before[-1].steps if step.name != "percentile_ranks"])
        follower = next(mix for mix in after if mix.name == bare.name)
        assert list(before[:-1]) == list(after[: len(before) - 1])
        assert replace(follower, steps=follower.steps[: len(bare.steps)]) == bare
    strengths = [stage[0].parts[1].steps[0].parameters["strength"] for stage in stages]
    assert strengths == [0.4, 0.4, 0.4, 0.4, 0.75]
    assert stages[4][-1].steps[:-2] == stages[3][-1].steps


def test_the_chains_numbers_are_in_its_steps():
    made, *_ = made_of("chain_d")
    temper = [step.parameters for step in made.mixes[1].parts[0].steps]
    assert temper[0] == {"labels": ["frog1", "frog2", *INSECTS], "temperature": 0.95}
    assert (set(temper[1]["labels"]), temper[1]["temperature"]) == (
        {"bird1", "bird2", "bird3", "dog", "caiman"},
        1.10,
    )
    assert steps_named(made, "scale_by_file") == [
        {"top_windows": 2, "power": 0.4},
        {"top_windows": 1, "power": 0.4},
    ]
    assert steps_named(made, "smooth_unsure_windows") == [{"share": 0.2}]
    assert made.mixes[2].parts[0].steps[0].parameters == {"sigma": 0.65}
    first, third = steps_named(made, "gate_window")
    assert [first[key] for key in ("above", "below", "share")] == [0.5, 0.05, 0.08]
    assert [third[key] for key in ("above", "below", "share")] == [0.95, 0.80, 0.12]
    (second,) = steps_named(made, "gate_sustained")
    assert [second[key] for key in ("sustained_above", "rank_above", "below", "share")] == [0.88, 0.75, 0.12, 0.15]
    assert np.array(second["kernel"]) / second["kernel"][3] == pytest.approx(
        [0.1197, 0.2707, 0.6396, 1.0, 0.6396, 0.2707, 0.1197], abs=1e-3
    )
    assert steps_named(made, "mirror_in_groups") == [{"groups": [["son01", "son02"]]}]
    assert steps_named(made, "damp_below_mean") == [
        {"labels": ["frog1", "frog2", "dog", "caiman"], "margin": 0.05, "factor": 0.9}
    ]


def test_the_gates_hold_the_branches_against_each_other_in_the_units_of_the_source():
    made, *_ = made_of("chain_d")
    spaces = {mix.name: mix.space for mix in made.mixes}
    first, third = steps_named(made, "gate_window")
    assert [spaces[first[key]] for key in ("member", "member_against")] == ["prob", "prob"]
    assert [spaces[third[key]] for key in ("member", "member_against")] == ["rank", "rank"]
    assert ("sed" in third["member"], "sed" in first["member_against"]) == (True, True)


def test_a_gate_is_fitted_on_the_given_labels_alone():
    template = TEMPLATES["s4"]
    whole = inputs(member_for_each_role(template).values())
    others = whole.labels.take([row for row, fold in zip(ROWS, FOLD, strict=True) if fold != 2])
    made = make_mixes(template, member_for_each_role(template), replace(whole, labels=others))
    assert set(made.gates["pcen"].fitted.soundscapes) == {stem for n, stem in enumerate(STEMS) if n % 5 != 2}


def nested(template, whole):
    """The scores by what is made of the template without each fold's labels."""

    def played_by(seen):
        return recipe_of(make_mixes(template, member_for_each_role(template), replace(whole, labels=seen)))

    return nested_scores(refit_without_each_fold(played_by, whole.labels), whole.parts, whole.labels)


@pytest.mark.parametrize("name", ["s4", "chain_d"])
def test_nested_scores_are_by_mixes_fitted_without_the_folds_labels(name):
    template = TEMPLATES[name]
    whole = inputs(member_for_each_role(template).values(), pcen=HELPS, proto=0.5, sed=0.5)
    found = nested(template, whole)
    held = [row for row, fold in zip(ROWS, FOLD, strict=True) if fold == 3]
    others = whole.labels.take([row for row in ROWS if row not in held])
    made = make_mixes(template, member_for_each_role(template), replace(whole, labels=others))
    alone = recipe_of(made).execute({member: part.take(held) for member, part in whole.parts.items()})
    np.testing.assert_array_equal(found.take(held).values, alone.scores.values)
    assert sorted(found.row_ids) == sorted(ROWS)
    spoiled = whole.labels.values.copy()
    spoiled[FOLD == 3, 4:6] ^= True  # what the side helps with, and one of two mirrors
    again = nested(template, replace(whole, labels=replace(whole.labels, values=spoiled)))
    np.testing.assert_array_equal(again.take(held).values, alone.scores.values)
    assert (again.values != found.values).any()


def test_mirrors_are_those_of_the_given_labels():
    whole = inputs(["m proto", "m sed"])
    present = truth()
    present[:, 6] = ~present[:, 5]
    apart = replace(whole, labels=replace(whole.labels, values=present))
    made = make_mixes(TEMPLATES["chain_d"], {"proto": "m proto", "sed": "m sed"}, apart)
    assert steps_named(made, "mirror_in_groups") == []


def test_the_insects_specialist_has_a_weight_in_insects_only_as_in_the_source():
    made, recipe, outcome = made_of("second")
    assert made.mixes[-1].class_weights == {
        label: pytest.approx([weight / 2.6 for weight in (0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 1.25)]) for label in INSECTS
    }
    parts = inputs(member_for_each_role(TEMPLATES["second"]).values()).parts
    other = recipe.execute({**parts, "m insects": member(99)}).scores.values
    changed = {label for n, label in enumerate(CLASSES) if (other[:, n] != outcome.scores.values[:, n]).any()}
    assert changed == set(INSECTS)
    assert [step.name for step in made.mixes[-1].steps] == ["gate_sustained", "mirror_in_groups", "scale_by_file"]
    assert made.mixes[-1].steps[-1].parameters == {"top_windows": 2, "power": 0.4}


def test_second_is_gated_by_the_mean_of_its_networks():
    made, *_ = made_of("second")
    assert [part.weight for part in made.mixes[0].parts] == pytest.approx(
        [0.25 / 1.1, 0.25 / 1.1, 0.2 / 1.1, 0.2 / 1.1, 0.2 / 1.1]
    )
    assert [part.name for part in made.mixes[0].parts] == ["m xc", "m round1", "m round3", "m round4", "m round5"]
    (gate,) = steps_named(made, "gate_sustained")
    assert (gate["member"], gate["member_against"]) == ("m proto", made.mixes[0].name)


def test_vlom_is_of_ranks_and_trusts_networks_with_birds_and_perch_with_the_rest():
    parts = inputs(["m proto", "m sed"]).parts
    proto, sed = (rankdata(parts[name].values, axis=0) / len(ROWS) for name in ("m proto", "m sed"))
    share = np.where([label.startswith("bird") for label in CLASSES], 0.7, 0.3)
    mean = sed**share * proto ** (1 - share) + np.sqrt(share * sed**2 + (1 - share) * proto**2)
    expected = rankdata(mean, axis=0) / len(ROWS)
    _, _, outcome = made_of("vlom")
    np.testing.assert_allclose(outcome.scores.values, expected, atol=2 / len(ROWS))


def test_s2s_own_head_has_its_prior_and_smoothing():
    made, *_ = made_of("s2")
    steps = [(step.name, step.parameters) for step in made.mixes[-1].parts[1].steps]
    assert steps == [("add_prior", {"member": "m prior", "strength": 0.5}), ("smooth_windows", {"sigma": 1.0})]


def test_s4s_sidecars_move_open_classes_only():
    made, recipe, outcome = made_of("s4", pcen=HELPS, proto=0.5, sed=0.5)
    birdnet, pcen = (step.parameters for step in made.mixes[-1].steps if step.name == "sidecar")
    assert (birdnet["member"], pcen["member"]) == ("m birdnet", "m pcen")
    assert birdnet["gate"] == {"bird1": 0.015, "bird2": 0.015, "bird3": 0.06}
    assert set(pcen["gate"]) == {"frog2"}
    assert 0 < pcen["gate"]["frog2"] <= 0.03
    assert (pcen["settings"]["cap"], pcen["settings"]["budget"]) == (0.03, 0.004)
    assert [pcen["settings"][key] for key in ("anchor_top", "side_top", "tau")] == [48, 32, 0.55]
    assert made.gates["pcen"].weights == pcen["gate"]
    bare = [replace(made.mixes[-1], steps=[step for step in made.mixes[-1].steps if step.name != "sidecar"])]
    parts = inputs(member_for_each_role(TEMPLATES["s4"]).values(), pcen=HELPS, proto=0.5, sed=0.5).parts
    anchor = replace(recipe, mixes=[*made.mixes[:-1], *bare]).execute(parts).scores
    ranks, moved = rankdata(anchor.values, axis=0) / len(ROWS), outcome.scores.values
    changed = {label for n, label in enumerate(CLASSES) if (np.abs(moved[:, n] - ranks[:, n]) > 1e-6).any()}
    assert changed == {"bird1", "bird2", "bird3", "frog2"}
    assert np.abs(moved - ranks).mean() <= 2 * 0.004
    assert outcome.alarms == ()


def test_a_gate_is_fitted_on_what_its_sidecar_corrects():
    made, recipe, _ = made_of("s4", pcen=HELPS, proto=0.5, sed=0.5)
    *before, last = made.mixes
    without = replace(recipe, mixes=[*before, replace(last, steps=last.steps[:-1])])
    assert [step.name for step in last.steps[-2:]] == ["sidecar", "sidecar"]
    whole = inputs(member_for_each_role(TEMPLATES["s4"]).values(), pcen=HELPS, proto=0.5, sed=0.5)
    anchor = evaluate(without, whole.parts, whole.labels)
    gate = fit_gate(whole.labels, anchor, whole.parts["m pcen"], SidecarSettings())
    pd.testing.assert_frame_equal(made.gates["pcen"].table, gate.table)


def test_a_bird_without_a_birdnet_output_is_not_moved():
    template = TEMPLATES["s4"]
    whole = inputs(member_for_each_role(template).values())
    silent = whole.parts["m birdnet"].values.copy()
    silent[:, 2] = 0.01
    parts = whole.parts | {"m birdnet": whole.parts["m birdnet"].with_values(silent)}
    made = make_mixes(template, member_for_each_role(template), replace(whole, parts=parts))
    assert steps_named(made, "sidecar")[0]["gate"] == {"bird1": 0.015, "bird2": 0.015}


def test_a_sidecar_that_helps_nowhere_stays_out_and_is_named():
    made, *_ = made_of("s4", pcen=-3.0)
    assert made.left_out == ("pcen: m pcen helps in no class",)
    assert "m pcen" not in made.members
    assert not made.gates["pcen"].table.opened.any()


def card(name, family, **config):
    return MemberCard(name, family, "hash", config, "", "", 0, [], [], Measured(0.1))


PRIOR, STATISTICS = card("l0_prior", "prior"), card("l1_statistics", "statistics", front_end={"level": "log"})
SMALL = card("small_sed", "network", network={"head": "sed", "backbone": "plain"}, front_end={"level": "log"})
PCEN = card("odd", "network", network={"head": "gem", "backbone": "convnext_tiny"}, front_end={"level": "pcen"})
HEADS = [card(f"perch {kind}", "head", head=kind, embedder="perch_v2") for kind in ("class_mlps", "proto_ssm")]
BIRDNET = card("other", "head", head="zero-shot", embedder="birdnet-v2.4")
EVERYBODY = [PRIOR, STATISTICS, SMALL, PCEN, *HEADS, BIRDNET]


def test_roles_go_to_the_members_that_are_most_like_them():
    assert default_roles(TEMPLATES["s4"], EVERYBODY) == {
        "proto": "perch proto_ssm",
        "sed": "small_sed",
        "yukiz": "perch class_mlps",
        "pssm": "l1_statistics",
        "birdnet": "other",
        "pcen": "odd",
    }
    assert default_roles(TEMPLATES["chain_c"], EVERYBODY) == {
        "proto": "perch proto_ssm",
        "mlps": "perch class_mlps",
        "prior": "l0_prior",
        "sed": "small_sed",
    }


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_the_first_two_rungs_and_one_network_are_enough_to_run_any_template(name):
    cards = [PRIOR, STATISTICS, SMALL]
    assignment = default_roles(TEMPLATES[name], cards)
    assert len(set(assignment.values())) == len(assignment)
    parts = inputs(card.name for card in cards)
    made = make_mixes(TEMPLATES[name], assignment, parts)
    assert recipe_of(made).execute(parts.parts).scores.kind == "rank"


def test_role_assignment_does_not_depend_on_the_order_of_the_members():
    for template in TEMPLATES.values():
        assert default_roles(template, EVERYBODY) == default_roles(template, EVERYBODY[::-1])


def test_the_table_lists_each_template_and_an_unknown_one_is_refused():
    table = template_table()
    assert table.template.tolist() == list(TEMPLATES)
    assert table.set_index("template").roles["chain_c"] == "proto, (mlps), (prior), sed"
    assert find_template("s4") is TEMPLATES["s4"]
    with pytest.raises(BadInput, match="s5"):
        find_template("s5")


def test_roles_are_read_from_text_and_what_cannot_be_read_is_refused():
    assert parse_roles("") == {}
    assert parse_roles("proto:l3_mlps, sed:small_sed") == {"proto": "l3_mlps", "sed": "small_sed"}
    for text in ("proto", "proto:", ":l3", "proto=l3"):
        with pytest.raises(BadInput, match="role:member"):
            parse_roles(text)
