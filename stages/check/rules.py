"""Every rule by name, in the sections of docs/check.md, which is made from here."""

from .image_rules import ANY, LABELS, STYLEGAN
from .layout_rules import FILES, FOLDERS
from .rule import Rule

SECTIONS: dict[str, dict[str, Rule]] = {
    "Any target": ANY,
    "stylegan: images": STYLEGAN,
    "stylegan: labels": LABELS,
    "imagefolder and unpaired": FOLDERS,
    "hdf5 and lmdb": FILES,
}

RULES: dict[str, Rule] = {
    name: rule for section in SECTIONS.values() for name, rule in section.items()
}
