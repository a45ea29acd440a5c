"""The new classes of a run, as its stage `recognise` selected them.

Runs by methods that make none train no recogniser: the stage is not in their ledger or status.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..manifests.errors import VerifyError
from ..manifests.files.atomic import sha256_file
from ..manifests.plan.methods import NEW_CLASS_METHODS
from ..manifests.plan.new_classes import NewClass, class_count, random_classes, read_new_classes
from ..manifests.run_folder import RunFolder
from ..stages.corpus.store import Corpus
from ..stages.recognise.config import ClassRequest
from .config import Config
from .ledger import Ledger


def needs_new_classes(config: Config) -> bool:
    """Whether a resolved config makes images of new classes, so that `recognise` selects them."""
    return config.generate.method in NEW_CLASS_METHODS


def class_request(config: Config) -> ClassRequest:
    """The new classes that a resolved config asks for: one member for each weight."""
    return ClassRequest(config.generate.new_classes, config.generate.weights)


def new_classes_of(
    files: RunFolder, config: Config, corpus: Corpus, ledger: Ledger
) -> tuple[NewClass, ...]:
    """The classes that the plan of a resolved config makes; none for methods that make none.

    Raises VerifyError where new_classes.json is gone, is not the file that the ledger records, or
    is of another corpus.
    """
    if not needs_new_classes(config):
        return ()
    if not is_recorded(files, ledger):
        raise VerifyError(
            f"{files.new_classes} is gone or was changed after it was written. Run"
            f" `scoremix-pipeline run {files.config}`, which selects the new classes again."
        )
    return tuple(read_new_classes(files.new_classes, corpus.digest, len(corpus.classes)))


def is_recorded(files: RunFolder, ledger: Ledger) -> bool:
    """Whether new_classes.json is there as the ledger records it."""
    path = files.new_classes
    recorded = ledger.outcome("recognise").get("new_classes_sha256")
    return path.is_file() and recorded == sha256_file(path)


def random_new_classes(
    config: Config, classes: Sequence[str], usable: Sequence[int]
) -> tuple[NewClass, ...]:
    """As many classes, chosen at random: for checking a plan before there is a recogniser.

    usable: ids of the classes that have training images.

    Raises ConfigError for fewer real classes than a new one mixes, or not as many new ones as asked
    for.
    """
    generate = config.generate
    count = class_count(generate.new_classes, len(usable), len(generate.weights))
    names = [classes[id_] for id_ in usable]
    drawn = random_classes(names, count, generate.weights, config.seed)
    return tuple(
        replace(one, id=len(classes) + place, classes=tuple(usable[id_] for id_ in one.classes))
        for place, one in enumerate(drawn)
    )
