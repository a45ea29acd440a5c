"""What names a source. Light: the options are read before anything that opens one is."""

from dataclasses import dataclass

BUNDLED = ("digits", "faces", "pair")  # sources from packages: bundled.py


@dataclass(frozen=True)
class SourceSpec:
    """A source as the user names it, with the options that apply to it."""

    source: str  # path, pattern, URL or one of BUNDLED
    path: str | None = None  # the folder inside it that becomes the root
    image_column: str | None = None  # of a table; the field of WebDataset samples
    label_column: str | None = None  # of a table or metadata.csv; the field or key of samples
    license: str | None = None  # of images that have none of their own
    label: str | None = None  # the class of all of its images
    follow_links: bool = False  # of a folder, wherever they lead
    classes: bool = True  # False: labels and folders are no classes
