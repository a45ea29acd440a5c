"""The commands. Results go to standard output, everything else to standard error.

Imports of the work itself happen inside the commands: `--help` must not wait for torch.
"""

import contextlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..manifests.errors import (
    STORAGE_ERRNOS,
    ConfigError,
    LockedError,
    ScoreMixError,
    StorageError,
    VerifyError,
)
from .check_command import check
from .export_command import export
from .ledger import shards_of, shards_of_run
from .mount_command import mount
from .signals import interrupt_on_term, stop_on_signal

if TYPE_CHECKING:
    from .config import Config
    from .run import Outcome

UNTIL = ("ingest", "train", "plan", "write", "evaluate")

_DEVICE = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Where to compute; auto takes a GPU if there is one.",
)
_SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value, as in generate.ratio=5; may be repeated.",
)
_DRY = click.option(
    "--dry-run",
    is_flag=True,
    help="Only say how many images and bytes there will be, and how long it will take here.",
)
_QUIET = click.option("--quiet", is_flag=True, help="No progress.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="scoremix-pipeline")
def commands() -> None:
    """Turns a small folder of images into a verified, self-describing, ten-times larger corpus.

    Start with `scoremix-pipeline init` and `scoremix-pipeline run stages.yaml`.

    Exit codes: 0 ok, 1 error, 2 usage or config, 3 verification failed, 4 too many bad inputs,
    5 locked, 6 storage full or unwritable, 75 interrupted; after 6 and 75 the same command resumes.
    """


@commands.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("stages.yaml"))
def init(path: Path) -> None:
    """Write a commented stages.yaml to PATH (default: ./stages.yaml)."""
    from .config import DEFAULT_FILE

    target = path / "stages.yaml" if path.is_dir() else path
    if target.exists():
        raise ConfigError(f"{target} exists already and was left as it is. Name another file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DEFAULT_FILE, target)
    click.echo(f"{target} written. Next: scoremix-pipeline run {target}")


@commands.command()
@click.argument("stages", type=click.Path(path_type=Path))
@click.option("--until", type=click.Choice(UNTIL), default=UNTIL[-1], help="Stop after this stage.")
@_SET
@_DEVICE
@_DRY
@_QUIET
def run(
    stages: Path, until: str, overrides: tuple[str, ...], device: str, dry_run: bool, quiet: bool
) -> None:
    """Run every stage of STAGES (a stages.yaml) that is missing or stale.

    A run that was stopped goes on with the same command.
    """
    from .config import load_config

    config = load_config(stages, list(overrides))
    folder = Path(config.run)
    _bring_up_to_date(config, folder, shards_of_run(folder), device, until, dry_run, quiet)


@commands.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the shards.")
@click.option("--ratio", type=click.IntRange(1, 999), help="mu: augmented images per real one.")
@click.option(
    "--data",
    help="Folder or zip of images, or a bundled set: digits, faces. Default: the stages.yaml here.",
)
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path),
    help="Run folder. Default: OUT.run, or the stages.yaml's own where that is used.",
)
@_SET
@_DEVICE
@_DRY
@_QUIET
def augment(
    out: Path,
    ratio: int | None,
    data: str | None,
    folder: Path | None,
    overrides: tuple[str, ...],
    device: str,
    dry_run: bool,
    quiet: bool,
) -> None:
    """The whole pipeline in one command: images in, shards in OUT.

    Options of stages.yaml are set with --set, as in --set ingest.limit=1000.
    """
    from .config import compose, load_config

    wanted = list(overrides) + ([f"generate.ratio={ratio}"] if ratio else [])
    out = out.absolute()
    beside = out.with_name(out.name + ".run")
    if data is None:
        if not Path("stages.yaml").exists():
            raise ConfigError(
                "Neither --data was given nor is there a stages.yaml in this folder. Name your"
                " images, as in --data photos/, or write a file with `scoremix-pipeline init`."
            )
        config = load_config(Path("stages.yaml"), wanted)
        folder = folder or Path(config.run)
    else:
        sections: dict[str, Any] = {"ingest": {"source": data}, "run": str(folder or beside)}
        if data not in ("digits", "faces"):
            sections["ingest"]["source"] = str(Path(data).expanduser().absolute())
        config = compose(sections, wanted, "The command line")
        folder = folder or beside
    _bring_up_to_date(config, folder.absolute(), out, device, UNTIL[-1], dry_run, quiet)


@commands.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
def status(folder: Path) -> None:
    """Say what is done, stale (and why) and missing in RUN, and how long is left."""
    from .status import describe

    click.echo(describe(folder))


@commands.command()
@click.argument("shards", type=click.Path(path_type=Path))
def verify(shards: Path) -> None:
    """Check every byte of SHARDS against SHA256SUMS, markers and manifest."""
    from ..manifests.verify import verify as check

    shards = shards_of(shards)
    problems = check(shards)
    if problems:
        for problem in problems:
            click.echo(f"{problem.file}: {problem.what}")
        raise VerifyError(
            f"{shards} is not what its manifests promise: {len(problems)} problem(s), listed above."
            " What is damaged is made again by the run: remove the files that are named, and"
            " SHA256SUMS, and run the same command as before."
        )
    click.echo(f"{shards} is whole: every file agrees with SHA256SUMS, markers and manifest.")


@commands.command()
@click.argument("shards", type=click.Path(path_type=Path))
@click.argument("key", required=False)
@click.option(
    "--image", type=click.Path(path_type=Path), help="Also write KEY's image to this file."
)
def inspect(shards: Path, key: str | None, image: Path | None) -> None:
    """Count what SHARDS holds; with KEY, show one image's whole lineage."""
    from ..manifests import inspect as inspecting

    shards = shards_of(shards)
    if key is None:
        click.echo(json.dumps(inspecting.summary(shards), indent=2, ensure_ascii=False))
        return
    click.echo(json.dumps(inspecting.lineage(shards, key), indent=2, ensure_ascii=False))
    if image is not None:
        image.write_bytes(inspecting.image_bytes(shards, key))


@commands.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--features", help="auto, pixels, inception, or the path of a TorchScript network.")
@_SET
@_DEVICE
@_QUIET
def evaluate(
    folder: Path, features: str | None, overrides: tuple[str, ...], device: str, quiet: bool
) -> None:
    """Judge the corpus of RUN against held-out images; nothing else is made again."""
    from .config import load_config

    wanted = list(overrides) + ([f"evaluate.features={features}"] if features else [])
    config = load_config(folder / "stages.yaml", wanted)
    shards = shards_of_run(folder)
    _bring_up_to_date(config, folder, shards, device, UNTIL[-1], False, quiet, only="evaluate")


commands.add_command(check)
commands.add_command(export)
commands.add_command(mount)


def _bring_up_to_date(
    config: "Config",
    folder: Path,
    shards: Path,
    device: str,
    until: str,
    dry_run: bool,
    quiet: bool,
    only: str | None = None,
) -> None:
    from .progress import Shown, duration
    from .run import Job
    from .run import run as bring

    progress = Shown(quiet)
    folder, shards = folder.absolute(), shards.absolute()
    with stop_on_signal() as stopping:
        job = Job(config, folder, shards, _device(device), progress, stopping, until, only)
        if dry_run:
            from .estimate import estimate
            from .places import check as check_places

            check_places(job)
            click.echo(estimate(config, folder, shards, job.device, progress))
            return
        outcome = bring(job)
    if not outcome.worked:
        click.echo(f"Nothing to do: every stage of {folder} is up to date.")
    _show(folder, shards, outcome)
    progress.note(f"finished in {duration(progress.elapsed())}")


def _show(folder: Path, shards: Path, outcome: "Outcome") -> None:
    """Where everything is, and the verdict."""
    places = {
        "shards": shards,
        "contact sheet": folder / "report" / "contact-sheet.png",
        "metrics": folder / "report" / "metrics.json",
    }
    for name, path in places.items():
        if path.exists():
            click.echo(f"{name + ':':<15}{_near(path)}")
    if outcome.verdict is not None:
        click.echo(f"verdict:       {outcome.verdict['text']}")


def _near(path: Path) -> str:
    """A path as short as the working folder allows."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device cuda was asked for, but this torch sees no GPU. Use --device cpu, or install"
            " a CUDA build of torch."
        )
    return name


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("scoremix")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def main(arguments: list[str] | None = None) -> None:
    """The entry point: errors of ours become one message and their exit code."""
    sys.exit(exit_code(lambda: commands.main(arguments, standalone_mode=False)))


def exit_code(command: Callable[[], Any]) -> int:
    """Runs `command`; what a user can act on is told without a traceback."""
    try:
        with _logging(), interrupt_on_term():
            command()
    except ScoreMixError as error:
        kind = "locked" if isinstance(error, LockedError) else "error"
        click.echo(f"{kind}: {error}", err=True)
        return error.exit_code
    except OSError as error:
        storage = error.errno in STORAGE_ERRNOS
        click.echo(f"error: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        return StorageError.exit_code if storage else 1
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        click.echo(
            f"error: a file of the run is damaged and cannot be read ({error}). Restore it, or"
            " delete the folder of the stage that wrote it and run again.",
            err=True,
        )
        return 1
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted: the same command resumes.", err=True)
        return 75
    return 0


if __name__ == "__main__":
    main()
