"""Scientific names that checklists disagree about: each line is one species, and no name of it is the right one."""

_SAME_SPECIES = (
    # Those by which birds of the contest were missing from BirdNET's table.
    ("Antiurus maculicaudus", "Hydropsalis maculicaudus"),
    ("Daptrius chimachima", "Milvago chimachima"),
    ("Rufirallus schomburgkii", "Micropygia schomburgkii"),
    ("Tyto furcata", "Tyto alba"),
    # Older names of frogs and mammals of the region.
    ("Boana raniceps", "Hypsiboas raniceps"),
    ("Canis familiaris", "Canis lupus familiaris"),
    ("Mico melanurus", "Callithrix melanura"),
    ("Pithecopus azureus", "Phyllomedusa azurea"),
    ("Plecturocebus pallescens", "Callicebus pallescens"),
)


def comparable(name: str) -> str:
    """The name as names are compared: lower case, single spaces."""
    return " ".join(name.lower().split())


def synonyms(name: str) -> tuple[str, ...]:
    """The other comparable names of the species, if any."""
    alike = comparable(name)
    lines = [[comparable(other) for other in line] for line in _SAME_SPECIES]
    return tuple(other for line in lines if alike in line for other in line if other != alike)
