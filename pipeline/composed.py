"""Methods whose images are of new classes, each a mixture of classes of the corpus (SM-REC).

Runs by other methods train no recogniser: the stage `recognise` is not in their ledger or status.
"""

from ..manifests.errors import VerifyError
from ..manifests.files.atomic import sha256_file
from ..manifests.plan.new_classes import NewClass
from ..manifests.run_folder import RunFolder
from ..stages.recognise.config import ClassRequest
from ..stages.recognise.new_class_list import read_new_classes
from .config import Config
from .ledger import Ledger

NEEDS_NEW_CLASSES = frozenset({"compose", "condition-mix", "mixup-classes"})  # of generate.method


def needs_new_classes(config: Config) -> bool:
    """Whether a resolved config makes images of new classes, so that `recognise` selects them."""
    return config.generate.method in NEEDS_NEW_CLASSES


def class_request(config: Config) -> ClassRequest:
    """How many new classes a resolved config asks for, and with which weights of their members."""
    return ClassRequest()


def selected_classes(files: RunFolder, ledger: Ledger) -> list[NewClass]:
    """The new classes of a run, as its stage `recognise` recorded them.

    Raises:
        VerifyError: new_classes.json is gone, or was changed after it was written.
    """
    recorded = ledger.outcome("recognise").get("new_classes_sha256")
    if recorded is None or not is_recorded(files, ledger):
        raise VerifyError(
            f"{files.new_classes} is gone or was changed after it was written. Run"
            f" `scoremix-pipeline run {files.config}`, which selects the new classes again."
        )
    return read_new_classes(files.new_classes)


def is_recorded(files: RunFolder, ledger: Ledger) -> bool:
    """Whether new_classes.json is there as the ledger records it."""
    path = files.new_classes
    recorded = ledger.outcome("recognise").get("new_classes_sha256")
    return path.is_file() and recorded == sha256_file(path)
