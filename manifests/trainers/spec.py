"""The row type of the table of trainers: how one trainer reads one target, and with which commands.

Every field says one thing that the trainer's own code decides. `export`, `mount`, `check` and the
documentation read the same rows, so that they cannot disagree.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Target = Literal["stylegan", "imagefolder", "unpaired", "hdf5", "lmdb", "parquet"]
TARGETS: tuple[Target, ...] = get_args(Target)
CHECKED: tuple[Target, ...] = TARGETS[:-1]  # those that `check` reads


@dataclass(frozen=True)
class TrialPreset:
    """How `trial` trains one GAN with a trainer, and has it draw samples.

    `command` is a format string for bash, whose placeholders presets.py lists. It leaves a folder
    or .npz of samples for each snapshot: {out}/samples/N, N the images shown until then.
    """

    scripts: tuple[str, ...]  # files of the checkout that it runs
    command: str
    unit: Literal["kimg", "iterations", "epochs"]  # of the trainer's own count of its length
    update: int = 1  # real images that an update shows, where the length is counted in iterations
    halves: int = 1  # batches of such an update
    translates: bool = False  # samples lie in N/to-K, K the class that they are meant to show
    one_shot: bool = False  # of one image to one other: no held-out images, and a distance of both
    whole_batches: bool = False  # an epoch drops images that do not fill a batch of `update`
    flips: bool = False  # training images are flipped horizontally, half of them
    needs_gpu: bool = True
    note: str = ""  # for the documentation


@dataclass(frozen=True)
class TrainLength:
    """How long a trainer trains by its own default, which the printed command repeats or converts.

    Two arms are compared after equally many images shown, whatever the sizes of their corpora.
    """

    unit: Literal["images", "iterations", "epochs"]  # of the trainer's own count of its length
    amount: int  # in that unit; epochs are of the real images alone
    update: int = 1  # real images that an iteration shows; of `images`: a length is a multiple
    kept_every: int = 0  # it keeps its networks after such a number of iterations and its multiples
    # alone, whatever its options: a length is rounded up to one; 0: they can be set, or the last
    # are kept


@dataclass(frozen=True)
class TrainerSpec:
    """How one trainer reads one target. A field that is left out asks for nothing.

    Commands, `samples`, `notes`, `remember`, `file` and `file_pattern` are format strings, whose
    placeholders table.py lists.
    """

    trainer: str  # as --trainer and --for take it; empty: the target itself, without a trainer
    target: Target
    title: str  # as its own documentation has it

    # What it asks of the images. Sides are in pixels.
    modes: tuple[str, ...] = ()  # Pillow's, taken as they are; empty: it converts to RGB itself
    exact: bool = False  # does not resize: all images are square and of one size
    power_of_two: bool = False  # of the side, where `exact`
    usual_power_of_two: bool = False  # of the side, where `exact`; others work and are unusual
    multiple_of: int = 1  # of the side, where `exact`
    least_side: int = 1  # where `exact`
    sides: tuple[int, ...] = ()  # the only ones that it has networks for, where `exact`
    usual_sides: tuple[int, ...] = ()  # its default networks have these, other settings more
    configurations: tuple[tuple[int, str], ...] = ()  # (side, option of the networks made for that
    # side and for those up to the next), ascending: {configuration}
    class_configurations: tuple[tuple[int, str], ...] = ()  # where labels are there; empty: equal
    networks: tuple[int, ...] = ()  # sides of its networks, to which it scales images
    endings: tuple[str, ...] = ()  # file name endings that its loader takes
    any_case: bool = False  # of the endings
    least_images: int = 1  # for training
    batch: int = 1  # images of a batch, in its command or by its own default
    fixed_batch: bool = False  # its user will pass that one
    full_batches: int = 0  # full ones that it must be able to form: it drops what does not fill one
    needs_classes: bool = False
    max_classes: int | None = None

    # Where it looks for them.
    split: str = "train"  # imagefolder: folder of the training images, "" for none
    fixed_split: bool = False  # imagefolder: is given the folder above `split`, reads nothing else
    real_split: str | None = None  # imagefolder: a second folder, which `export` fills with reals,
    # or with held-out images where asked to
    flat: bool = False  # imagefolder: lists one folder and no sub-folder; no classes
    any_depth: bool = False  # imagefolder: takes images at any depth; no classes
    lists_files: bool = False  # imagefolder: a plain file beside the classes becomes a class
    axes: Literal["NCHW", "NHWC"] | None = None  # hdf5: order of the axes of `imgs`
    file: str | None = None  # hdf5: the file's name inside the folder, as `export` writes it
    file_pattern: str = ""  # hdf5: regular expression of the names that it finds
    path_word: str = ""  # lmdb: must be in the path, or it is read as a folder of images

    # What its user types, and has to know.
    train: str = ""
    length: TrainLength | None = None  # None: its command does not say one
    sample: str = ""  # draws single samples after the training; "": it has no script for that
    sample_classes: str = ""  # the same where it learned classes; "": no different
    samples: str = "{samples}"  # where `sample` leaves them, for evaluate --generated
    evaluate: str = ""  # its own evaluation
    draws_labels_of_data: bool = False  # `evaluate` samples a network with the labels of {real}
    single_image: tuple[str, str] | None = None  # unpaired: `train` and `sample` for exactly one
    # image a side, of any size; None: no such mode
    real_to: Target | None = None  # the target of {real} in `evaluate`; None: the same one
    conditional: str = ""  # the option that makes it use labels
    averaged_after: int = 0  # iterations before it averages its weights; until then {weights} are
    # the last ones themselves
    text_labels: bool = False  # stylegan: its labels are captions; it is given names of classes
    notes: tuple[str, ...] = ()  # printed after an export
    remember: tuple[str, ...] = ()  # printed by `check`: options that are easily forgotten
    preset: TrialPreset | None = None  # for `trial`; None: it takes a command of the user's own

    @property
    def rgb(self) -> bool:
        """Whether it takes three channels and does not make them of one itself."""
        return bool(self.modes) and "L" not in self.modes

    @property
    def classless(self) -> bool:
        """Whether it reads an image folder without classes."""
        return self.flat or self.any_depth

    @property
    def splits(self) -> tuple[str, ...]:
        """Folders that must be there with the same classes in each; empty: any will do."""
        return (self.split, self.real_split) if self.real_split else ()
