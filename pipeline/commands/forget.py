"""The command `forget`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...manifests.errors import ConfigError
from ...manifests.run_folder import RunFolder
from ..echo import echo
from ..ledger import Ledger, require_run
from .options import LOCAL, QUIET

if TYPE_CHECKING:
    from ..maintenance.forget import Forgotten


@click.command()
@click.argument("folder", metavar="RUN", type=LOCAL)
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option(
    "--retrain",
    is_flag=True,
    help="Also train the network anew without them, and make and evaluate everything again.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="For --retrain: where to compute; auto takes a GPU if there is one.",
)
@QUIET
def forget(folder: Path, keys: tuple[str, ...], retrain: bool, device: str, quiet: bool) -> None:
    """Remove source images from RUN: their pixels, names, and every image made from them.

    KEY is a real image's key (000123) or an input's name as in corpus/sources.parquet, also of a
    held-out image. The same file, and files with the same pixels, go with it, and no later ingest
    takes them. The network has still seen them: --retrain is what removes that. Killed on the way,
    the same command ends it; so does `forget RUN` without a KEY, and `run`.
    """
    from ...manifests.files.lock import run_lock
    from ...manifests.tombstones import read_tombstones

    folder = require_run(folder)
    run = folder.absolute()
    if not keys and not read_tombstones(run).entries:
        raise ConfigError("No KEY was named, and nothing of this run was forgotten before.")
    from ..maintenance.forget import drop_from_plan, finish_pending
    from ..maintenance.forget import forget as remove

    with run_lock(run):
        if keys:
            _print_forgotten(folder, remove(run, keys))
        else:
            finish_pending(run)
            echo(f"{folder}: every pending removal is finished.")
        if retrain:
            drop_from_plan(run)
    if retrain:
        _train_again(run, device, quiet)
    elif trained := _trained_on_them(RunFolder(run)):
        echo(
            f"{trained} `scoremix-pipeline forget {folder} --retrain` trains anew without them and"
            " makes everything again: other images' bytes change with it."
        )


def _trained_on_them(files: RunFolder) -> str:
    """What of a run was trained on forgotten images too, in sentences; "" for nothing."""
    sentences = []
    if files.network.exists():
        sentences.append(
            "The network in score-net/ was trained on all images, these too, and the augmented"
            " images that are left may be made by it, or about mean images of all"
            " (means.safetensors)."
        )
    if files.recogniser.exists():
        sentences.append(
            "The recogniser in recogniser/ was trained on them too, and the class centres there"
            " (centres.npy) are means over them: it selected the classes that new ones mix."
        )
    return " ".join(sentences)


def _print_forgotten(folder: Path, done: "Forgotten") -> None:
    if not done.inputs:
        echo("Nothing to do: they were forgotten before.")
        return
    others = f" ({', '.join(done.keys[:8])}{', ...' if len(done.keys) > 8 else ''})"
    place = Ledger(folder).place()
    echo(
        f"{_count(done.inputs, 'input')} forgotten, {len(done.keys)} of them real images in the"
        f" shards{others if done.keys else ''}: {_count(done.samples, 'sample')} removed from"
        f" {done.shards} of the shards in {place}; all other samples keep their bytes. Their pixels"
        " were erased from corpus/. report/ and the caches in .scoremix/ were removed: the next run"
        " evaluates again."
    )
    echo(
        "The files themselves are where they were, and so is every copy or export of these shards"
        " made before: delete them yourself. A mount of them serves what it opened until it is"
        " unmounted. tombstones.json keeps hashes, so that no later ingest"
        " of this run takes them."
    )
    if done.resembling:
        echo(
            f"These resemble them and stay: {', '.join(done.resembling[:20])}. Forget them too if"
            " they show the same."
        )


def _count(number: int, noun: str) -> str:
    """ "1 input was", "2 inputs were"."""
    return f"{number} {noun} was" if number == 1 else f"{number} {noun}s were"


def _train_again(run: Path, device: str, quiet: bool) -> None:
    from ..config import load_config
    from .run import RunOptions, open_job, run_job

    config = load_config(RunFolder(run).config, [])
    with open_job(config, run, Ledger(run).place(), RunOptions(device, quiet)) as job:
        run_job(job)
