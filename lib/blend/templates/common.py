"""What several sources do: the 60/40 of two branches, taxonomy smoothing, gates. And who may play their roles.

Numbers are the sources' unless a comment says otherwise. The public chain is ProtoSSM on Perch's embeddings beside
Tucker Arrants's networks, as it was forked through the spring of 2026; S0, S2, S3 and S4 are entries that say how they
were made.
"""

from lib.blend.class_groups import learn_mirror_groups, taxonomy_groups
from lib.blend.recipe import Mix, Part, Step
from lib.blend.templates.roles import Assignment, Role, TemplateInputs

# Heads that hear through an embedder, by how near they come to the public chain's ProtoSSM; then whoever else listens.
CHAIN = ("proto", "residual", "mlps", "sequence", "linear", "head", "statistics", "network")
NETWORKS = ("distilled", "sed", "network", "statistics", "head")
ANY_MEMBER = ("network", "head", "statistics")
PROTO = Role("proto", "the ProtoSSM branch on Perch's embeddings", CHAIN, required=True)
SED = Role("sed", "the five-fold network, distilled from Perch (Tucker Arrants)", NETWORKS, required=True)
PRIOR = Role("prior", "how often a class is heard at the site and hour", ("prior",))

PROTO_SHARE, SED_SHARE = 0.60, 0.40  # of ranks: public chain, S4
GENUS_SHARE, CLASS_SHARE = 0.15, 0.05  # S2, S4
FILE_TOP, FILE_POWER = 2, 0.4  # file confidence scale: public chain, 2nd


def proto_and_sed(name: str, cast: Assignment) -> Mix:
    """The public blend of two branches by ranks."""
    return Mix(name, "rank", [Part(cast["proto"], PROTO_SHARE), Part(cast["sed"], SED_SHARE)])


def taxonomy_smoothing(material: TemplateInputs) -> list[Step]:
    """Steps that move classes towards their genus, then towards their class; sonotypes, unlike there, are no genus."""
    groups = taxonomy_groups(material.taxonomy)
    shares = (("genus", GENUS_SHARE), ("class", CLASS_SHARE))
    return [
        Step("smooth_in_groups", {"groups": groups[rank], "share": share}) for rank, share in shares if groups[rank]
    ]


def file_scale_step(top_windows: int, power: float) -> Step:
    """The step that lowers classes which the file as a whole does not show."""
    return Step("scale_by_file", {"top_windows": top_windows, "power": power})


def sustained_gate(member: str, against: str) -> Step:
    """Public gate 2: where one branch hears a class on and on, and the other does not hear it."""
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


def mirror_steps(material: TemplateInputs) -> list[Step]:
    """Public gate 4: sonotypes that are one sound in the labels take the highest of them.

    There the four groups are named. Here they are learned: of the same windows always, in two soundscapes at least.
    """
    groups = learn_mirror_groups(material.labels, agreement=1.0, soundscapes=2)
    return [Step("mirror_in_groups", {"groups": groups})] if groups else []
