"""Names for the cast: taxonomy rows of the contest where known here, invented ones to fill up wider casts."""

from dataclasses import dataclass
from itertools import product

SONOTYPE_TAXON = "47158"

# Codes and names of birds are the contest's; taxon numbers of birds are stand-ins (the real ones are not known here).
_BIRDS = """
rubthr1,Turdus rufiventris,Rufous-bellied Thrush
grekis,Pitangus sulphuratus,Great Kiskadee
y00678,Caracara plancus,Crested Caracara
banana,Coereba flaveola,Bananaquit
yeofly1,Tolmomyias sulphurescens,Yellow-olive Flatbill
fepowl,Glaucidium brasilianum,Ferruginous Pygmy-Owl
soulap1,Vanellus chilensis,Southern Lapwing
houspa,Passer domesticus,House Sparrow
whtdov,Leptotila verreauxi,White-tipped Dove
undtin1,Crypturellus undulatus,Undulated Tinamou
yecpar,Brotogeris chiriri,Yellow-chevroned Parakeet
rufhor2,Furnarius rufus,Rufous Hornero
ashgre1,Hylophilus pectoralis,Ashy-headed Greenlet
yehcar1,Daptrius chimachima,Yellow-headed Caracara
brnowl,Tyto furcata,American Barn Owl
sptnig1,Antiurus maculicaudus,Spot-tailed Nightjar
ocecra1,Rufirallus schomburgkii,Ocellated Crake
dwatin1,Taoniscus nanus,Dwarf Tinamou
"""
_MUTE_FROGS = """
517063,Pithecopus azureus,Southern Orange-legged Leaf Frog
1491113,Adenomera guarani,Guarani Nest Frog
25073,Chiasmocleis mehelyi,Caceres Humming Frog
"""
# The numbers are the contest's; which frog bears which number is a guess, except for the three above.
_FROGS = """
65380,Physalaemus albonotatus,Menwig Frog
24321,Leptodactylus podicipinus,Pointedbelly Frog
24279,Leptodactylus fuscus,Rufous Frog
22967,Boana raniceps,Chaco Treefrog
66971,Dendropsophus nanus,Dwarf Treefrog
22961,Scinax nasicus,Lesser Snouted Treefrog
23158,Pseudis platensis,Uruguay Harlequin Frog
"""
_INSECTS = """
1161364,Guyalna cuta,Guyalna cuta
244024,Quesada gigas,Giant Cicada
760266,Oecanthus lineolatus,Lined Tree Cricket
"""
_MAMMALS = """
43435,Alouatta caraya,Black-and-gold Howler Monkey
47144,Canis familiaris,Domestic Dog
74113,Bos taurus,Domestic Cattle
41970,Panthera onca,Jaguar
209233,Equus caballus,Domestic Horse
516975,Plecturocebus pallescens,White-coated Titi
738183,Sapajus cay,Azaras's Capuchin
74580,Ozotoceros bezoarticus,Pampas Deer
"""
_REPTILES = """
116570,Caiman yacare,Southern Spectacled Caiman
"""
_COLOURS = [
    "Ashy",
    "Bronzed",
    "Chestnut",
    "Dusky",
    "Golden",
    "Hooded",
    "Ivory",
    "Lilac",
    "Mottled",
    "Ochre",
    "Pale",
    "Russet",
    "Sooty",
    "Tawny",
]
_KINDS = [
    "Antwren",
    "Becard",
    "Cotinga",
    "Elaenia",
    "Foliagegleaner",
    "Hermit",
    "Jacamar",
    "Manakin",
    "Puffbird",
    "Seedeater",
    "Spinetail",
    "Wren",
]
_GENERA = {
    "Aves": [
        "Synallaxis",
        "Thamnophilus",
        "Myiothlypis",
        "Elaenia",
        "Cyanocorax",
        "Sporophila",
        "Picumnus",
        "Nystalus",
    ],
    "Amphibia": ["Leptodactylus", "Physalaemus", "Scinax", "Boana", "Rhinella", "Elachistocleis"],
    "Insecta": ["Fidicina", "Gryllus", "Neoconocephalus"],
    "Mammalia": ["Dasyprocta", "Tapirus", "Cerdocyon"],
    "Reptilia": ["Gekko", "Hemidactylus", "Caiman"],
}


@dataclass(frozen=True)
class Taxon:
    """A row of taxonomy.csv, all text."""

    primary_label: str
    inat_taxon_id: str
    scientific_name: str
    common_name: str
    class_name: str


def birds(count: int) -> list[Taxon]:
    """The first `count` birds, commonest first, then invented ones with eBird-like codes."""
    known = [
        Taxon(code, str(3000 + 7 * index), scientific, common, "Aves")
        for index, (code, scientific, common) in enumerate(_rows(_BIRDS))
    ]
    coined = [
        Taxon(
            f"{colour[:3]}{kind[:3]}1".lower(),
            str(9000 + 11 * index),
            _latin("Aves", index),
            f"{colour} {kind}",
            "Aves",
        )
        for index, (colour, kind) in enumerate(product(_COLOURS, _KINDS))
    ]
    return (known + coined)[:count]


def frogs(count: int, mute: int) -> list[Taxon]:
    """`count` amphibians, the `mute` ones (no focal clips) first."""
    silent = _numbered(_MUTE_FROGS, mute, "Amphibia", 1_500_000)
    return silent + _numbered(_FROGS, count - mute, "Amphibia", 25_100)


def insects(count: int, sonotypes: int) -> list[Taxon]:
    """`count` insects, the sonotypes (known by sound alone) first."""
    sonotype_taxa = [
        Taxon(
            f"{SONOTYPE_TAXON}son{number:02d}",
            SONOTYPE_TAXON,
            f"Insect son{number:02d}",
            f"Insect sonotype{number:02d}",
            "Insecta",
        )
        for number in range(1, sonotypes + 1)
    ]
    return sonotype_taxa + _numbered(_INSECTS, count - sonotypes, "Insecta", 800_100)


def mammals(count: int) -> list[Taxon]:
    """The first `count` mammals."""
    return _numbered(_MAMMALS, count, "Mammalia", 46_100)


def reptiles(count: int) -> list[Taxon]:
    """The first `count` reptiles: the caiman, then invented ones."""
    return _numbered(_REPTILES, count, "Reptilia", 36_100)


def _numbered(table: str, count: int, class_name: str, first_coined: int) -> list[Taxon]:
    known = [Taxon(label, label, scientific, common, class_name) for label, scientific, common in _rows(table)]
    coined = []
    for index in range(max(0, count - len(known))):
        label, name = str(first_coined + 13 * index), _latin(class_name, index)
        coined.append(Taxon(label, label, name, name, class_name))
    return (known + coined)[:count]


def _latin(class_name: str, index: int) -> str:
    """An invented species of a real genus."""
    genera = _GENERA[class_name]
    return f"{genera[index % len(genera)]} ficta{'bcdefghijklmnopqrstuvwxyz'[index // len(genera) % 25]}"


def _rows(table: str) -> list[list[str]]:
    return [line.split(",") for line in table.strip().splitlines()]
