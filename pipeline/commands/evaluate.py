"""The command `evaluate`: measures a run's corpus, or a trained GAN's samples, on held-out images.

`evaluate RUN` does the stage `evaluate` of a run again; `evaluate RUN --generated PATH` evaluates
samples of a GAN that was trained on the corpus (docs/generated.md).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...manifests.errors import ConfigError
from ...manifests.files.json_reader import parse_json
from ...manifests.run_folder import RunFolder
from ...manifests.storage.store import store_of
from ..echo import echo
from ..ledger import Ledger, require_run
from .options import (
    DEVICE,
    JSON,
    LOCAL,
    QUIET,
    SET,
    print_json,
    refuse_other_options,
    with_overrides,
)
from .run import RunOptions, open_job, run_job

if TYPE_CHECKING:
    from ..config import Config

_LONGEST_NAME = 100  # characters of a report's name

_GENERATED_OPTIONS = (
    click.option(
        "--generated",
        type=LOCAL,
        metavar="PATH",
        help="Evaluate a trained GAN's images instead: a folder, zip, .npz or .npy of them, or a"
        " folder of such, one for each snapshot of the training (docs/generated.md).",
    ),
    click.option(
        "--snapshots/--no-snapshots",
        default=None,
        help="Whether sub-folders and archives in PATH are snapshots, of which the best is named."
        " Default: if their names differ in numbers alone.",
    ),
    click.option("--name", help="Of the report of --generated. Default: PATH's."),
    click.option(
        "--images",
        "most",
        type=click.IntRange(50),
        help="Of --generated, evaluate a seeded choice of so many images a set. Default: 10,000.",
    ),
    click.option(
        "--lpips",
        type=LOCAL,
        help="Of --generated: AlexNet's weights, alexnet-owt-7be5be79.pth, for LPIPS.",
    ),
    click.option(
        "--classifier",
        type=LOCAL,
        help="Of --generated: a TorchScript network that gives logits, for the classifier score.",
    ),
    click.option(
        "--target",
        type=LOCAL,
        help="Of --generated, in the one-shot case: the one image that all should look like, for"
        " the Frechet distance of single images (evaluate.maps, or Inception's weights).",
    ),
)


@dataclass(frozen=True)
class GeneratedOptions:
    """The options of --generated, as given; None where an option was left out."""

    generated: Path | None
    snapshots: bool | None
    name: str | None
    most: int | None
    lpips: Path | None
    classifier: Path | None
    target: Path | None


def _generated_options(command: Any) -> Any:
    """Adds --generated and the options that go with it to a command."""
    for option in reversed(_GENERATED_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("folder", metavar="RUN", type=LOCAL)
@click.option(
    "--features", help="auto, random, pixels, inception, or the path of a TorchScript network."
)
@_generated_options
@SET
@DEVICE
@QUIET
@JSON
def evaluate(
    folder: Path,
    features: str | None,
    overrides: tuple[str, ...],
    device: str,
    quiet: bool,
    as_json: bool,
    **generated: Any,
) -> None:
    """Evaluate the corpus of RUN against held-out images; nothing else is made again.

    With --generated: evaluate the images of a GAN that was trained on it instead.
    """
    from ...stages.gan_samples.place import check_place
    from ..config import load_config

    folder = require_run(folder)
    changes = with_overrides(overrides, {"--features": ("evaluate.features", features)})
    config = load_config(RunFolder(folder).config, changes)
    options = GeneratedOptions(**generated)
    if options.generated is not None:
        check_place(options.generated)
        evaluate_generated(folder, options, config, overrides, quiet, as_json)
        return
    refuse_without_generated(options)
    refuse_other_options(
        overrides,
        ("evaluate.",),
        "an evaluation, which makes nothing again; options of evaluate can be set, and the run"
        f" keeps them. For others: `scoremix-pipeline run {folder}/stages.yaml`",
    )
    shards = Ledger(folder).place()
    with open_job(config, folder, shards, RunOptions(device, quiet, only="evaluate")) as job:
        if as_json:
            from ..run import run as run_stages

            run_stages(job)
            print_json(parse_json(job.files.metrics.read_bytes()))
        else:
            run_job(job)


def refuse_without_generated(options: GeneratedOptions) -> None:
    """Raises ConfigError for an option that has a meaning only together with --generated."""
    given = [name for name, value in vars(options).items() if value is not None]
    if given:
        option = {"most": "images"}.get(given[0], given[0])
        raise ConfigError(f"--{option} is about generated images: name them with --generated PATH.")


def evaluate_generated(
    folder: Path,
    options: GeneratedOptions,
    config: "Config",
    overrides: tuple[str, ...],
    quiet: bool,
    as_json: bool = False,
) -> None:
    """Evaluates the samples, writes report/generated/NAME.json, prints its table and text.

    as_json: prints what that file holds instead.

    Takes no lock: the corpus is only read, and files appear whole.
    """
    from ...stages.corpus.store import check_pixels, open_corpus
    from ...stages.gan_samples.evaluate import EvaluationRequest, evaluate_samples
    from ...stages.report.page import write_report
    from ..progress import ProgressReporter, Stoppable
    from ..signals import stop_on_signal

    assert options.generated is not None
    refuse_other_options(
        overrides,
        ("evaluate.", "seed="),
        "--generated, which compares with the corpus as it is; options of evaluate and the seed can"
        " be set",
    )
    most = {} if options.most is None else {"most": options.most}
    request = EvaluationRequest(
        path=options.generated,
        name=report_name(options),
        snapshots=options.snapshots,
        target=options.target,
        **most,
    )
    networks = {"lpips": options.lpips, "classifier": options.classifier}
    update = {name: str(path) for name, path in networks.items() if path is not None}
    reporter = ProgressReporter(quiet)
    folder = folder.absolute()
    corpus = open_corpus(RunFolder(folder).corpus)
    check_pixels(corpus)
    with stop_on_signal() as stopping:
        report = evaluate_samples(
            request,
            config.evaluate.model_copy(update=update),
            config.ingest,
            corpus,
            run=folder,
            seed=config.seed,
            progress=Stoppable(reporter, stopping),
        )
    _print_samples(report, RunFolder(folder).generated / f"{request.name}.json", as_json)
    try:
        page = write_report(folder, store_of(Ledger(folder).place()))
    except ConfigError as error:  # no evaluation of the corpus yet, or nothing to draw with
        reporter.note(f"report: {error}")
    else:
        echo(f"report:  {page}", err=as_json)


def _print_samples(report: dict[str, Any], figures: Path, as_json: bool) -> None:
    """Prints the tables and sentences of evaluated samples, or all of the report as JSON."""
    if as_json:
        print_json(report)
        return
    from ...stages.gan_samples.summary import metric_table
    from ...stages.gan_samples.translation import pairs_table

    pairs = pairs_table(report)
    echo(metric_table(report).as_text())
    if pairs is not None:
        echo(f"\n{pairs.as_text()}\n")
    echo("\n".join(report["text"]))
    echo(f"figures: {figures}")


def report_name(options: GeneratedOptions) -> str:
    """--name, or the last part of the path as a plain file name.

    Raises ConfigError for a --name that is not a plain file name.
    """
    assert options.generated is not None
    if options.name is not None:
        plain = re.fullmatch(r"[\w-][\w.-]*", options.name)
        if not plain or len(options.name) > _LONGEST_NAME:
            raise ConfigError(
                f"--name {options.name!r} is to be a file's name: letters, digits, '.', '-' and"
                f" '_', at most {_LONGEST_NAME}."
            )
        return options.name
    path = options.generated.resolve()
    stem = path.name if path.is_dir() else path.stem
    return re.sub(r"[^\w.-]+", "_", stem).lstrip(".")[:_LONGEST_NAME] or "generated"
