"""Templates of published blends of 2026, by name; 05 makes a recipe of one with the available members."""

import pandas as pd

from lib.blend.recipe import Mix, Part, Step
from lib.blend.sidecar.apply import SidecarSettings
from lib.blend.sidecar.gate import SidecarGateSettings
from lib.blend.templates.common import (
    ANY_MEMBER,
    CHAIN,
    FILE_POWER,
    FILE_TOP,
    NETWORKS,
    PRIOR,
    PROTO,
    SED,
    file_scale_step,
    mirror_steps,
    proto_and_sed,
    sustained_gate,
    taxonomy_smoothing,
)
from lib.blend.templates.public_chain import CHAIN_TEMPLATES
from lib.blend.templates.roles import Assignment, Role, Sidecar, Template, TemplateInputs
from lib.core.errors import BadInput, shorten

RANKS = Step("percentile_ranks", {})

S0_BASE_SHARE, S0_TRIPLET_SHARE = 0.90, 0.10
S0_TRIPLET = (
    Role("b3", "EfficientNet-B3, fine-tuned on labelled soundscapes", ("b3", *ANY_MEMBER)),
    Role("b3_refined", "the same, refined on pseudo-labels", ("refined", "b3", *ANY_MEMBER)),
    Role("convnext", "ConvNeXt-Small, fine-tuned likewise", ("convnext", *ANY_MEMBER)),
)
S2_CHAIN_SHARE, S2_OWN_SHARE = 0.93, 0.07
S2_PRIOR_STRENGTH, S2_SIGMA = 0.5, 1.0  # of its own head; the smoothing in windows
S2_HEAD = Role("seq", "attention over tokens of Perch's blocks 21, 24 and 25", ("sequence", "head"))
S3_MODELS = 10  # five folds of two backbones
S3_VARIANTS = ("reversed", "louder", "softer")  # beside the original audio: reversed in time, 3 dB up, 3 dB down
S4_YUKIZ_SHARE, S4_PSSM_SHARE, S4_EOS9_SHARE = 0.012, 0.021, 0.967
S4_ROLES = (
    PROTO,
    SED,
    Role("yukiz", "yukiZ's Perch with ProtoSSM and ResidualSSM", CHAIN),
    Role("pssm", "PowerOptimization's ProtoSSM alone", CHAIN),
    Role("birdnet", "BirdNET v2.4, for the birds that it covers", ("birdnet", "zero")),
    Role("pcen", "ConvNeXt on PCEN mel spectrograms, one fold", ("pcen", "network", "statistics", "head")),
)
# Caps by coverage allow a small move of every bird that BirdNET covers, and most classes are birds.
BIRDNET = Sidecar("birdnet", SidecarSettings(cap=0.06, max_active_share=1.0), gate=None)
PCEN = Sidecar("pcen", SidecarSettings(), SidecarGateSettings())  # the settings' defaults are S4's, the gate's are ours
SECOND = (  # roles and weights of 2nd place, whose weights do not sum to one
    (Role("proto", "the ProtoSSM chain", CHAIN, required=True), 0.25),
    (Role("xc", "EfficientNetV2-S from Xeno-Canto, SoftAUC, five folds", ("v2s", *NETWORKS), required=True), 0.25),
    (Role("round1", "NFNet and ConvNeXt, pseudo-labels' round 1", ("nfnet", *ANY_MEMBER)), 0.25),
    (Role("round3", "EfficientNetV2-S, BCE, round 3", ("v2s", *ANY_MEMBER)), 0.20),
    (Role("round4", "EfficientNetV2-S, SoftAUC and BCE, round 4", ("v2s", *ANY_MEMBER)), 0.20),
    (Role("round5", "NFNet, round 5", ("nfnet", *ANY_MEMBER)), 0.20),
)
SECOND_INSECTS = (Role("insects", "B0 on 20 seconds, for insects only", ("insects", *ANY_MEMBER)), 1.25)
VLOM_BIRDS, VLOM_OTHERS = (0.7, 0.3), (0.3, 0.7)  # network, Perch


def _s0(assignment: Assignment, inputs: TemplateInputs) -> list[Mix]:
    baseline = proto_and_sed("public baseline", assignment)
    triplet = Mix("the triplet", "rank", [Part(assignment[role.name], 1 / len(S0_TRIPLET)) for role in S0_TRIPLET])
    return [
        baseline,
        triplet,
        Mix("s0 blend", "rank", [Part("public baseline", S0_BASE_SHARE), Part("the triplet", S0_TRIPLET_SHARE)]),
    ]


def _s2(assignment: Assignment, inputs: TemplateInputs) -> list[Mix]:
    own = [Step("add_prior", {"member": assignment["prior"], "strength": S2_PRIOR_STRENGTH})]
    own += [Step("smooth_windows", {"sigma": S2_SIGMA})]
    parts = [Part("public chain", S2_CHAIN_SHARE), Part(assignment["seq"], S2_OWN_SHARE, own)]
    return [proto_and_sed("public chain", assignment), Mix("s2 blend", "rank", parts, taxonomy_smoothing(inputs))]


def _s3_model(number: int) -> tuple[str, ...]:
    """The roles of a model: on the original audio, and its variants."""
    return (f"model{number}", *(f"model{number} {variant}" for variant in S3_VARIANTS))


def _s3(assignment: Assignment, inputs: TemplateInputs) -> list[Mix]:
    every = [_s3_model(number) for number in range(1, S3_MODELS + 1)]
    models = [
        Mix(f"views of {own[0]}", "logit", [Part(assignment[role], 1 / len(own)) for role in own]) for own in every
    ]
    return [*models, Mix("s3 blend", "logit", [Part(model.name, 1 / S3_MODELS) for model in models])]


def _s3_roles() -> tuple[Role, ...]:
    variants = (("", ANY_MEMBER), *((f" {variant}", (variant,)) for variant in S3_VARIANTS))
    return tuple(
        Role(
            f"model{number}{variant}",
            f"a fold's network{', audio' if variant else ''}{variant}",
            keywords,
            required=number == 1 and not variant,
        )
        for number in range(1, S3_MODELS + 1)
        for variant, keywords in variants
    )


def _s4(assignment: Assignment, inputs: TemplateInputs) -> list[Mix]:
    parts = [
        Part(assignment["yukiz"], S4_YUKIZ_SHARE),
        Part(assignment["pssm"], S4_PSSM_SHARE),
        Part("eos9 branch", S4_EOS9_SHARE),
    ]
    return [proto_and_sed("eos9 branch", assignment), Mix("s4 anchor", "rank", parts, taxonomy_smoothing(inputs))]


def _second(assignment: Assignment, inputs: TemplateInputs) -> list[Mix]:
    roles, weights = zip(*SECOND, SECOND_INSECTS, strict=True)
    names = [assignment[role.name] for role in roles]
    everywhere, in_insects, networks = (_shares(of) for of in ((*weights[:-1], 0.0), weights, weights[1:-1]))
    parts = [Part(name, share) for name, share in zip(names, everywhere, strict=True)]
    steps = [
        sustained_gate(assignment["proto"], "all networks"),
        *mirror_steps(inputs),
        file_scale_step(FILE_TOP, FILE_POWER),
    ]
    return [
        Mix("all networks", "prob", [Part(name, share) for name, share in zip(names[1:-1], networks, strict=True)]),
        Mix("second blend", "rank", parts, steps, {label: in_insects for label in inputs.taxon("Insecta")}),
    ]


def _shares(weights: tuple[float, ...]) -> list[float]:
    return [weight / sum(weights) for weight in weights]


def _vlom(assignment: Assignment, inputs: TemplateInputs) -> list[Mix]:
    parts = [Part(assignment[role], share, [RANKS]) for role, share in zip(("sed", "proto"), VLOM_OTHERS, strict=True)]
    return [Mix("vlom blend", "vlom", parts, class_weights={label: list(VLOM_BIRDS) for label in inputs.taxon("Aves")})]


TEMPLATES = {
    template.name: template
    for template in (
        Template(
            "s0",
            "S0: public baseline, a triplet on it at 0.10, by ranks",
            "the baseline's 0.60/0.40 is the public chain's; the triplet's weights, not published, are equal",
            (PROTO, SED, *S0_TRIPLET),
            _s0,
        ),
        Template(
            "s2",
            "S2: 0.93 public chain, 0.07 own head with prior 0.5 and sigma 1, taxonomy smoothing",
            "branches meet by ranks; sonotypes are no genus; shifts belong to the member",
            (PROTO, SED, S2_HEAD, PRIOR),
            _s2,
        ),
        Template(
            "s3",
            "S3: mean logits of ten models, each on four variants of the audio",
            "a variant is a member of its own; no other step",
            _s3_roles(),
            _s3,
        ),
        Template(
            "s4",
            "S4: anchor 0.012/0.021/0.967, taxonomy smoothing, BirdNET capped, PCEN gated",
            "branches meet by ranks; sonotypes are no genus; gate's shrinkage; BirdNET's mask, budget, guards",
            S4_ROLES,
            _s4,
            (BIRDNET, PCEN),
        ),
        *CHAIN_TEMPLATES,
        Template(
            "second",
            "2nd place: seven members by ranks, insects' specialist, gates 2 and 4, file scale",
            "the order of steps; gate 2 is against the networks' mean; mirrors are learned",
            tuple(role for role, _ in (*SECOND, SECOND_INSECTS)),
            _second,
        ),
        Template(
            "vlom",
            "9th place and tom: (geometric + quadratic mean) / 2, 0.7/0.3 of network and Perch by taxon",
            "of ranks: probabilities differ in scale",
            (PROTO, SED),
            _vlom,
        ),
    )
}


def find_template(name: str) -> Template:
    """The template of that name."""
    if name not in TEMPLATES:
        raise BadInput(
            "no such template", expected=f"one of {', '.join(TEMPLATES)}", got=name, do="set template=chain_e"
        )
    return TEMPLATES[name]


def template_table() -> pd.DataFrame:
    """One row a template: its roles, optional ones in brackets, the published blend, and what is ours."""
    return pd.DataFrame(
        {
            "template": template.name,
            "roles": shorten([role.name if role.required else f"({role.name})" for role in template.roles], 8),
            "from the source": template.source,
            "ours": template.ours,
        }
        for template in TEMPLATES.values()
    )
