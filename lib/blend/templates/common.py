"""Parts that several templates share: roles, the 60/40 blend of two branches, taxonomy smoothing, gates.

Numbers are the sources' unless a comment states otherwise. The public chain is ProtoSSM on Perch's embeddings beside
Tucker Arrants's networks, as it was forked through the spring of 2026; S0, S2, S3 and S4 are entries whose authors
published their recipes.
"""

from lib.blend.class_groups import learn_mirror_groups, taxonomy_groups
from lib.blend.recipe import Mix, Part, Step
from lib.blend.templates.roles import Assignment, Role, TemplateInputs

# Keywords of heads on an embedder, by their similarity to the public chain's ProtoSSM; then any other model of audio.
CHAIN = ("proto", "residual", "mlps", "sequence", "linear", "head", "statistics", "network")
NETWORKS = ("distilled", "sed", "network", "statistics", "head")
ANY_MEMBER = ("network", "head", "statistics")
PROTO = Role("proto", "the ProtoSSM branch on Perch's embeddings", CHAIN, required=True)
SED = Role("sed", "the five-fold network, distilled from Perch (Tucker Arrants)", NETWORKS, required=True)
PRIOR = Role("prior", "the frequency of a class at the site and hour", ("prior",))

PROTO_SHARE, SED_SHARE = 0.60, 0.40  # of ranks: public chain, S4
GENUS_SHARE, CLASS_SHARE = 0.15, 0.05  # S2, S4
FILE_TOP, FILE_POWER = 2, 0.4  # file confidence scale: public chain, 2nd


def proto_and_sed(name: str, assignment: Assignment) -> Mix:
    """The public blend of two branches by ranks."""
    return Mix(name, "rank", [Part(assignment["proto"], PROTO_SHARE), Part(assignment["sed"], SED_SHARE)])


def taxonomy_smoothing(inputs: TemplateInputs) -> list[Step]:
    """Steps that move classes towards their genus, then their class; unlike in the sources, sonotypes are no genus."""
    groups = taxonomy_groups(inputs.taxonomy)
    shares = (("genus", GENUS_SHARE), ("class", CLASS_SHARE))
    return [
        Step("smooth_in_groups", {"groups": groups[rank], "share": share}) for rank, share in shares if groups[rank]
    ]


def file_scale_step(top_windows: int, power: float) -> Step:
    """The step that lowers classes with low confidence in the file as a whole."""
    return Step("scale_by_file", {"top_windows": top_windows, "power": power})


def sustained_gate(member: str, against: str) -> Step:
    """Public gate 2: one branch scores a class high over several windows, and the other scores it low."""
    weights = [(1 + (offset / 1.2) ** 2 / 2) ** -1.5 for offset in range(-3, 4)]  # Student's t, scale 1.2 windows
    kernel = [weight / sum(weights) for weight in weights]
    return Step(
        "gate_sustained",
        {
            "member": member,
            "member_against": against,
            "kernel": kernel,
            "sustained_above": 0.88,
            "rank_above": 0.75,
            "below": 0.12,
            "share": 0.15,
        },
    )


def mirror_steps(inputs: TemplateInputs) -> list[Step]:
    """Public gate 4: sonotypes that are one sound in the labels take the maximum of their group.

    In the source the four groups are listed. Here they are learned: always in the same windows, in two soundscapes at
    least.
    """
    groups = learn_mirror_groups(inputs.labels, agreement=1.0, soundscapes=2)
    return [Step("mirror_in_groups", {"groups": groups})] if groups else []
