"""The command `push`: a finished corpus to a dataset of the Hugging Face Hub."""

import re
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from ...manifests.errors import ConfigError, StorageError, VerifyError
from ...manifests.extras import require
from ...manifests.files.lock import run_lock
from ...manifests.foreign_text import fit_to_print
from ...manifests.storage.location import Place
from ..echo import echo
from ..ledger import Ledger, find_run, find_shards
from .options import PLACE

_TARGET = re.compile(r"hf://datasets/([\w.-]+(?:/[\w.-]+)?)/?")
# Shards that an earlier push left there, of a corpus with more of them.
_OURS = [
    f"{kind}-{digits * '[0-9]'}.{ending}"
    for kind in ("real", "aug")
    for digits in range(6, 10)
    for ending in ("tar", "parquet", "json")
]


@click.command()
@click.argument("shards", metavar="RUN", type=PLACE)
@click.option("--to", "target", metavar="hf://datasets/NAME", required=True, help="NAME: USER/SET.")
@click.option("--public", is_flag=True, help="A new dataset is public. Default: private.")
@click.option("--yes", is_flag=True, help="Upload unasked; needed where there is no terminal.")
def push(shards: Place, target: str, public: bool, yes: bool) -> None:
    """Upload the shards of RUN, with their card and Croissant file, to a Hugging Face dataset.

    RUN: a run folder, or a folder of shards. Every byte is verified first; what is uploaded, and
    where, is shown and must be agreed to. The login is huggingface_hub's own (`hf auth login`, or
    HF_TOKEN). Shards of an earlier push are replaced, other files there are left.
    """
    repo = _name_of(target)
    folder = find_shards(shards)
    if not isinstance(folder, Path):
        raise ConfigError(
            f"{folder} is in an object store. Copy it to a folder (it is whole by itself), and push"
            " that."
        )
    hub = require("huggingface_hub", "hub", "push")
    run = find_run(shards)
    with nullcontext() if run is None else run_lock(run, shared=True):  # nobody changes them
        files = _verified_files(folder, run)
        _agree(folder, files, repo, public=public, yes=yes)
        _upload(hub, folder, files, repo, public=public)
    echo(
        f"{repo}: {len(files)} files uploaded and committed. To load it again:\n\n"
        "    import datasets\n"
        f'    samples = datasets.load_dataset("{repo}", split="train")'
    )


def _name_of(target: str) -> str:
    """ "hf://datasets/USER/SET" -> "USER/SET"; raises ConfigError for anything else."""
    found = _TARGET.fullmatch(target)
    if found is None:
        raise ConfigError(
            f"--to is {target!r}; name a dataset of the Hugging Face Hub, as in"
            " hf://datasets/USER/SET."
        )
    return found[1]


def _verified_files(folder: Path, run: Path | None) -> Mapping[str, int]:
    """Name -> bytes of the files of the corpus in `folder`: what SHA256SUMS lists, and itself.

    Raises:
        VerifyError: it is not whole, not finished, or not what its run published.
    """
    from ...manifests.published.run_record import compare_with_run
    from ...manifests.published.sums import SUMS, parse_sums
    from ...manifests.published.verify import verify

    recorded = None if run is None else Ledger(run).outcome("write").get("sums_sha256")
    problems = [*verify(folder), *compare_with_run(folder, recorded)]
    if problems:
        raise VerifyError(
            f"{folder} is not what its manifests promise, and nothing was uploaded:"
            f" {len(problems)} problem(s), the first {problems[0]}. See `scoremix-pipeline verify"
            f" {folder}`; `repair` mends what is damaged."
        )
    names = [*parse_sums((folder / SUMS).read_bytes()), SUMS]
    return {name: (folder / name).stat().st_size for name in names}


def _agree(folder: Path, files: Mapping[str, int], repo: str, *, public: bool, yes: bool) -> None:
    """Shows what is to be uploaded, and asks; raises ConfigError where nobody can answer."""
    from ...stages.common.units import format_bytes

    seen = "public" if public else "private"
    echo(
        f"{len(files)} files, {format_bytes(sum(files.values()))}, of {folder} go to"
        f" https://huggingface.co/datasets/{repo} (if it is new, {seen}). They hold the real"
        " training images too, with the names and licences that README.md there lists. What is"
        " forgotten later stays in the dataset's history.",
        err=True,
    )
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError("Nothing was uploaded: without a terminal to ask on, add --yes.")
    click.confirm("Upload them?", default=False, abort=True, err=True)


def _upload(hub: Any, folder: Path, files: Mapping[str, int], repo: str, *, public: bool) -> None:
    """Makes the dataset where it is new, and commits all files at once.

    Raises:
        StorageError: the Hub refused, with its words; nothing is half there.
    """
    api = hub.HfApi()
    try:
        api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=list(files),
            delete_patterns=_OURS,
            commit_message="Corpus of scoremix-pipeline",
        )
    except (hub.errors.HTTPError, OSError, ValueError) as error:  # refused, no network, a bad name
        raise StorageError(
            f"The Hub did not take {repo}: {fit_to_print(error)}. The dataset holds what it held"
            " before. Log in with `hf auth login`, or set HF_TOKEN to a token that may write there."
        ) from error
