"""Where a run may work: what can be refused is refused before anything is made."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..manifests.errors import ConfigError
from .inputs import named_path
from .ledger import Ledger

if TYPE_CHECKING:
    from .run import Job

_OURS = re.compile(
    r"((real|aug)-\d+\.(tar|parquet|json)|README\.md|(plan|manifest)\.parquet|index\.json|SHA256SUMS)"
)


def check(job: "Job") -> None:
    """Refuses outputs inside the source, foreign files under our names, missing features.

    Raises:
        ConfigError: with the place and what to do.
    """
    ingest = job.config.ingest
    for key, asked in [("source", item) for item in ingest.sources] + [
        ("reference", ingest.beside)
    ]:
        if asked is not None and Path(asked.source).is_dir():
            for place in (job.folder, job.shards):
                if place.resolve().is_relative_to(Path(asked.source).resolve()):
                    raise ConfigError(
                        f"{place} lies inside ingest.{key} {asked.source}: what is made would"
                        " become an input of the next run. Choose an output folder outside it."
                    )
    check_owner(job)
    features = named_path(job.config.evaluate.features)
    if features is not None and not Path(features).is_file():
        raise ConfigError(
            f"evaluate.features names {features}, which is not a file. Use auto, pixels, inception"
            " or the path of a TorchScript network."
        )


def check_owner(job: "Job") -> None:
    """A folder of shards belongs to the run that made them: others never write into it."""
    if job.shards.exists() and not job.shards.is_dir():
        raise ConfigError(f"{job.shards} is a file. Name a folder for the shards.")
    if job.folder in job.shards.parents or not job.shards.is_dir():
        return
    recorded = Ledger(job.folder).shards
    if recorded is not None and (job.folder / recorded).resolve() == job.shards.resolve():
        return
    found = sorted(path.name for path in job.shards.iterdir() if _OURS.fullmatch(path.name))
    if found:
        raise ConfigError(
            f"{job.shards} holds {', '.join(found[:3])}{', ...' if len(found) > 3 else ''}, which"
            f" the run {job.folder} did not make; nothing was changed. Choose another folder, or"
            " name the run that made them with --run."
        )
