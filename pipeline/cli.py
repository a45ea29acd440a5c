"""The commands. Results go to standard output, everything else to standard error.

Imports of the work itself happen inside the commands: `--help` must not wait for torch.
"""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..manifests.errors import (
    STORAGE_ERRNOS,
    Interrupted,
    LockedError,
    ScoreMixError,
    StorageError,
)
from ..manifests.files.atomic import write_bytes
from ..manifests.foreign_text import fit_to_print
from ..manifests.storage.location import Place
from .commands.check import check
from .commands.evaluate import evaluate
from .commands.export import export
from .commands.features import features
from .commands.forget import forget
from .commands.inspect import inspect
from .commands.mount import mount
from .commands.options import DEVICE, JSON, LOCAL, PLACE, print_json, resolve_device
from .commands.push import push
from .commands.recognition import recognition
from .commands.repair import repair
from .commands.report import compare, report
from .commands.run import augment, run
from .commands.trial import trial
from .commands.verify import verify
from .echo import echo
from .ledger import run_of
from .signals import INTERRUPTED, forget_interrupt, interrupt_on_term


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="scoremix-pipeline")
def commands() -> None:
    """Turns a small folder of images into a verified, self-describing, ten-times larger corpus.

    Start with `scoremix-pipeline init` and `scoremix-pipeline run stages.yaml`.

    Exit codes: 0 ok, 1 error, 2 usage or config, 3 verification failed, 4 too many bad inputs,
    5 locked, 6 storage full or unwritable, 75 interrupted; after 6 and 75 the same command resumes.
    """


@commands.command()
@click.argument("path", type=LOCAL, default=Path("stages.yaml"))
@click.option(
    "--data",
    metavar="SOURCE",
    help="Your images: a folder, zip, tar or another source (docs/ingest.md). It is looked into,"
    " and the file is fitted to it. Left out on a terminal, it is asked for.",
)
@click.option("--path", "inside", metavar="FOLDER", help="The folder in --data to read: train.")
@DEVICE
def init(path: Path, data: str | None, inside: str | None, device: str) -> None:
    """Write a commented stages.yaml to PATH (default: ./stages.yaml) that fits the images.

    Without --data, and not on a terminal, the source in it is the bundled digits, to be replaced.
    """
    from .init_file import default_text, fitted_text
    from .own_places import refuse_existing

    target = path / "stages.yaml" if path.is_dir() else path
    refuse_existing(target)
    if data is None and sys.stdin.isatty() and sys.stderr.isatty():
        asked = "Folder, zip or URL of your images (empty: the bundled digits)"
        data = click.prompt(asked, default="digits", show_default=False, err=True)
    if data is None and inside is not None:
        raise click.UsageError("--path names a folder in --data, which is missing.")
    if data is None:
        text = default_text()
        note = (
            f"Its source is the bundled digits. Put your images at `source:` in {target}, or"
            " remove it\nand let a file be fitted to them: scoremix-pipeline init --data photos/"
        )
    else:
        text, note = fitted_text(data, inside, target, lambda: resolve_device(device))
    write_bytes(target, text.encode())
    echo(f"{note}\n{target} written. Next: scoremix-pipeline run {target}")


@commands.command()
@click.argument("place", metavar="RUN", type=PLACE)
@JSON
def status(place: Place, as_json: bool) -> None:
    """Say what is done, stale (and why) and missing in RUN, and how long is left.

    It reads what the stages recorded, not the images: `verify` finds damage in them.

    RUN: a run folder, or a folder of shards that lies in or beside its run.
    """
    run = run_of(place)
    from .status import describe, stage_states

    if as_json:
        print_json({"run": str(run), "stages": stage_states(run)})
        return
    echo((f"run:      {run}\n" if run != place else "") + describe(run))


commands.add_command(run)
commands.add_command(augment)
commands.add_command(evaluate)
commands.add_command(features)
commands.add_command(inspect)
commands.add_command(verify)
commands.add_command(repair)
commands.add_command(forget)
commands.add_command(report)
commands.add_command(compare)
commands.add_command(check)
commands.add_command(export)
commands.add_command(mount)
commands.add_command(push)
commands.add_command(trial)
commands.add_command(recognition)


class _Formatter(logging.Formatter):
    """Messages for a terminal: they may have names of files and URLs in them."""

    def format(self, record: logging.LogRecord) -> str:
        return fit_to_print(super().format(record))


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(message)s"))
    logger = logging.getLogger("scoremix")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _limit_thread_spinning() -> None:
    """Lowers how long OpenMP threads spin while they wait: 300,000 times by default.

    On cores that other jobs use, training would spend most of its time so. Set before torch loads,
    unless the user set it. Results do not change.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "10000"


def main(arguments: list[str] | None = None) -> None:
    """The entry point: errors of ours become one message and their exit code."""
    _limit_thread_spinning()
    sys.exit(exit_code(lambda: commands.main(arguments, standalone_mode=False), final=True))


def exit_code(command: Callable[[], Any], *, final: bool = False) -> int:
    """Runs `command`; an error that a user can act on is printed without a traceback.

    final: the process ends with it.
    """
    try:
        with _logging(), interrupt_on_term(final=final):
            command()
    except ScoreMixError as error:
        kind = "locked" if isinstance(error, LockedError) else "error"
        echo(f"{kind}: {error}", err=True)
        return error.exit_code
    except OSError as error:
        storage = error.errno in STORAGE_ERRNOS
        then = ". Free some space or fix it; the same command resumes." if storage else ""
        what = f"{error.filename or 'a file'}: {error.strerror or error}{then}"
        echo(f"error: {what}", err=True)
        return StorageError.exit_code if storage else 1
    except MemoryError:
        echo(
            "error: There is not enough memory for this command. What is finished is kept: the same"
            " command goes on where there is more, or with a smaller source, side or batch.",
            err=True,
        )
        return 1
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        echo(text.getvalue().rstrip(), err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        forget_interrupt()
        echo(INTERRUPTED, err=True)
        return Interrupted.exit_code
    return 0


if __name__ == "__main__":
    main()
