"""The mean images of a run: read, or computed from the corpus."""

import numpy as np

from ..manifests.errors import VerifyError
from ..manifests.files.rows import rows_where
from ..manifests.run_folder import RunFolder
from ..stages.corpus.store import Corpus
from ..stages.generate.means import MeanImages, mean_images, read_means, write_means
from .config import Config
from .ledger import Ledger


def means_sha256_of(
    files: RunFolder, config: Config, corpus: Corpus, ledger: Ledger, *, write: bool = False
) -> str | None:
    """What a recipe records of the mean images; None for a method that does not use them.

    write: where the file is gone, write it again.
    """
    if not config.generate.needs_means:
        return None
    recipe = ledger.stages.get("plan", {}).get("inputs", {}).get("recipe", {})
    means = open_means(files, corpus, recipe.get("means_sha256"))
    if write and read_means(files.means, corpus.digest) is None:
        write_means(files.means, means, corpus.digest)
    return means.sha256


def open_means(files: RunFolder, corpus: Corpus, recorded: str | None) -> MeanImages:
    """The run's mean images; computed, without forgotten images, where the file is gone.

    recorded: `means_sha256` of the recipe that made the run's shards; None where none is known.

    Raises:
        VerifyError: the file is gone, and images were forgotten since: the means that the shards
            were made about cannot be computed any more.
    """
    found = read_means(files.means, corpus.digest)
    if found is not None:
        return found
    means = compute_means(corpus)
    if corpus.forgotten and recorded not in (None, means.sha256):
        raise VerifyError(
            f"{files.means} is gone or damaged, and images were forgotten since it was written:"
            " the shards were made about mean images that cannot be computed any more. Restore it;"
            f" or run `scoremix-pipeline forget {files.path} --retrain`, which makes everything"
            " again without the forgotten images."
        )
    return means


def compute_means(corpus: Corpus) -> MeanImages:
    """The mean images of a corpus, of the images that were not forgotten."""
    training = rows_where(corpus.sources, status="train")
    rows = training["row"].to_numpy().astype(np.int64)
    ids = training["class_id"].fill_null(-1).to_numpy().astype(np.int64)
    return mean_images(corpus.images, rows, ids, len(corpus.classes))
