"""The public chain in five stages, each an extension of the one before; `chain_e` is what its last forks (EoS9) submit.

ResidualSSM is not a stage of its own: our member of that kind contains its first pass, so it can take the role `proto`.
"""

from dataclasses import replace

from lib.blend.recipe import Mix, Part, Step
from lib.blend.templates.common import (
    FILE_POWER,
    FILE_TOP,
    PRIOR,
    PROTO,
    PROTO_SHARE,
    SED,
    SED_SHARE,
    file_scale_step,
    mirror_steps,
    sustained_gate,
    taxonomy_smoothing,
)
from lib.blend.templates.roles import Assignment, Role, Template, TemplateInputs

MLPS = Role("mlps", "a small network per class on Perch's embeddings and logits", ("mlps", "linear", "zero"))
PROTO_SHARE_MAPPED, PROTO_SHARE_UNMAPPED = 0.60, 0.35  # stage E, for classes with and without an output of Perch
PRIOR_STRENGTH, PRIOR_STRENGTH_EOS9 = 0.40, 0.75  # of the prior's log-odds
SLOW_TAXA, SLOW_TEMPERATURE, TEMPERATURE = ("Amphibia", "Insecta"), 0.95, 1.10  # stage F1
RANK_AWARE_POWER = 0.4  # stage F3; forks take 0.5 and 0.6 too
DELTA_SHARE = 0.20  # stage F4
SED_SIGMA = 0.65  # windows, stage G
QUIET_TAXA, QUIET_MARGIN, QUIET_FACTOR = ("Amphibia", "Mammalia", "Reptilia"), 0.05, 0.9  # gate 5
FIRST, PROCESSED, SMOOTHED, BLENDED = "first pass", "processed proto", "smoothed sed", "chain blend"
PROTO_RANKS, SED_RANKS = "ranks of proto", "ranks of sed"


def first_pass(assignment: Assignment, inputs: TemplateInputs, strength: float = PRIOR_STRENGTH) -> list[Mix]:
    """Stage E: ProtoSSM, less on classes unknown to Perch, and the per-class networks with a prior, by logits."""
    prior = Step("add_prior", {"member": assignment["prior"], "strength": strength})
    parts = [Part(assignment["proto"], PROTO_SHARE_MAPPED), Part(assignment["mlps"], 1 - PROTO_SHARE_MAPPED, [prior])]
    shares = [PROTO_SHARE_UNMAPPED, 1 - PROTO_SHARE_UNMAPPED]
    unmapped = {label: shares for label in inputs.taxonomy.primary_label if label not in inputs.mapped}
    return [Mix(FIRST, "logit", parts, class_weights=unmapped)]


def with_post_processing(assignment: Assignment, inputs: TemplateInputs, strength: float = PRIOR_STRENGTH) -> list[Mix]:
    """Stages E and F, without the thresholds by class: they change no order."""
    slow = inputs.taxon(*SLOW_TAXA)
    others = [label for label in inputs.taxonomy.primary_label if label not in slow]
    temper = [
        Step("temper", {"labels": labels, "temperature": temperature})
        for labels, temperature in ((slow, SLOW_TEMPERATURE), (others, TEMPERATURE))
    ]
    after = [
        file_scale_step(FILE_TOP, FILE_POWER),
        file_scale_step(1, RANK_AWARE_POWER),
        Step("smooth_unsure_windows", {"share": DELTA_SHARE}),
    ]
    return [*first_pass(assignment, inputs, strength), Mix(PROCESSED, "prob", [Part(FIRST, 1.0, temper)], after)]


def with_sed(assignment: Assignment, inputs: TemplateInputs, strength: float = PRIOR_STRENGTH) -> list[Mix]:
    """Stages E to H: with the smoothed network, both branches blended by ranks."""
    smooth = Step("smooth_windows", {"sigma": SED_SIGMA})
    return [
        *with_post_processing(assignment, inputs, strength),
        Mix(SMOOTHED, "prob", [Part(assignment["sed"], 1.0, [smooth])]),
        Mix(BLENDED, "rank", [Part(PROCESSED, PROTO_SHARE), Part(SMOOTHED, SED_SHARE)]),
    ]


def with_gates(assignment: Assignment, inputs: TemplateInputs, strength: float = PRIOR_STRENGTH) -> list[Mix]:
    """Stages E to H with the five gates."""
    *before, blended = with_sed(assignment, inputs, strength)
    quiet = {"labels": inputs.taxon(*QUIET_TAXA), "margin": QUIET_MARGIN, "factor": QUIET_FACTOR}
    ranks = [Mix(PROTO_RANKS, "rank", [Part(PROCESSED, 1.0)]), Mix(SED_RANKS, "rank", [Part(SMOOTHED, 1.0)])]
    gates = [
        _gate_window(PROCESSED, SMOOTHED, above=0.5, below=0.05, share=0.08),  # gate 1, of probabilities
        sustained_gate(PROCESSED, SMOOTHED),
        _gate_window(SED_RANKS, PROTO_RANKS, above=0.95, below=0.80, share=0.12),  # gate 3, of ranks
        *mirror_steps(inputs),
        Step("damp_below_mean", quiet),
    ]
    return [*before, *ranks, replace(blended, steps=gates)]


def eos9(assignment: Assignment, inputs: TemplateInputs) -> list[Mix]:
    """The gated chain with EoS9's stronger prior, and taxonomy smoothing."""
    *before, blended = with_gates(assignment, inputs, PRIOR_STRENGTH_EOS9)
    return [*before, replace(blended, steps=[*blended.steps, *taxonomy_smoothing(inputs)])]


def _gate_window(member: str, against: str, **numbers: float) -> Step:
    return Step("gate_window", {"member": member, "member_against": against, **numbers})


_HEADS_ONLY, _BOTH = (PROTO, MLPS, PRIOR), (PROTO, MLPS, PRIOR, SED)
CHAIN_TEMPLATES = (
    Template(
        "chain_a",
        "public chain, first pass: 0.60 or 0.35 ProtoSSM by logits, prior 0.40",
        "ResidualSSM, if there is one, takes the role proto",
        _HEADS_ONLY,
        first_pass,
    ),
    Template(
        "chain_b",
        "chain_a, temperatures, file scale, rank-aware scale, adaptive smoothing",
        "no thresholds by class: they change no order",
        _HEADS_ONLY,
        with_post_processing,
    ),
    Template(
        "chain_c",
        "chain_b and the network, smoothed by 0.65 windows, at 0.60/0.40 by ranks",
        "as chain_b",
        _BOTH,
        with_sed,
    ),
    Template(
        "chain_d", "chain_c and gates 1 to 5", "a cell may pass several gates; mirrors are learned", _BOTH, with_gates
    ),
    Template(
        "chain_e",
        "chain_d with EoS9's prior 0.75, taxonomy smoothing",
        "sonotypes are no genus; no heads for genus and family, no shifts",
        _BOTH,
        eos9,
    ),
)
