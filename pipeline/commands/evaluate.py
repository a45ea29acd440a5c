"""`evaluate RUN --generated`: a trained GAN's images against the run's real ones."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...manifests.errors import ConfigError

if TYPE_CHECKING:
    from ..config import Config

_LONGEST = 100  # characters of a report's name

OPTIONS = (
    click.option(
        "--generated",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Judge a trained GAN's images instead: a folder, zip, .npz or .npy of them, or a"
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
        help="Of --generated, judge a seeded choice of so many images a set. Default: 10,000.",
    ),
    click.option(
        "--lpips",
        type=click.Path(path_type=Path),
        help="Of --generated: AlexNet's weights, alexnet-owt-7be5be79.pth, for LPIPS.",
    ),
    click.option(
        "--classifier",
        type=click.Path(path_type=Path),
        help="Of --generated: a TorchScript network that gives logits, for the classifier score.",
    ),
    click.option(
        "--target",
        type=click.Path(path_type=Path),
        help="Of --generated, in the one-shot case: the one image that all should look like, for"
        " the Frechet distance of single images (evaluate.maps, or Inception's weights).",
    ),
)


@dataclass(frozen=True)
class GeneratedOptions:
    """The options of --generated, as given."""

    generated: Path | None
    snapshots: bool | None
    name: str | None
    most: int | None
    lpips: Path | None
    classifier: Path | None
    target: Path | None


def generated_options(command: Any) -> Any:
    """Adds the options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def refuse_without_generated(wanted: GeneratedOptions) -> None:
    """Options that say nothing without --generated."""
    given = [name for name, value in vars(wanted).items() if value is not None]
    if given:
        named = {"most": "images"}.get(given[0], given[0])
        raise ConfigError(f"--{named} is about generated images: name them with --generated PATH.")


def evaluate_generated(
    folder: Path,
    wanted: GeneratedOptions,
    config: "Config",
    overrides: tuple[str, ...],
    quiet: bool,
) -> None:
    """Judges, writes report/generated/NAME.json and says what came of it. Takes no lock: the
    corpus is only read, and files appear whole."""
    from ...stages.corpus.store import check_pixels, open_corpus
    from ...stages.gan_samples.evaluate import JudgeRequest, evaluate_samples
    from ...stages.gan_samples.summary import text_table
    from ..progress import ProgressReporter, Stoppable
    from ..signals import stop_on_signal
    from . import report as report_command

    assert wanted.generated is not None
    _only_evaluate(overrides)
    most = {} if wanted.most is None else {"most": wanted.most}
    asked = JudgeRequest(
        path=wanted.generated,
        name=report_name(wanted),
        snapshots=wanted.snapshots,
        target=wanted.target,
        **most,
    )
    named = {"lpips": wanted.lpips, "classifier": wanted.classifier}
    update = {name: str(path) for name, path in named.items() if path is not None}
    judging = config.evaluate.model_copy(update=update)
    shown = ProgressReporter(quiet)
    folder = folder.absolute()
    corpus = open_corpus(folder / "corpus")
    check_pixels(corpus)
    with stop_on_signal() as stopping:
        report = evaluate_samples(
            asked,
            judging,
            config.ingest,
            corpus,
            run=folder,
            seed=config.seed,
            progress=Stoppable(shown, stopping),
        )
    click.echo(text_table(report))
    click.echo("\n".join(report["text"]))
    click.echo(f"figures: {folder / 'report' / 'generated' / asked.name}.json")
    try:
        click.echo(f"report:  {report_command.write(folder)}")
    except ConfigError as error:  # no evaluation of the corpus yet, or nothing to draw with
        shown.note(f"report: {error}")


def report_name(wanted: GeneratedOptions) -> str:
    """--name, or what the path is called, as a plain file name.

    Raises ConfigError for a --name that is none.
    """
    assert wanted.generated is not None
    if wanted.name is not None:
        if not re.fullmatch(r"[\w-][\w.-]*", wanted.name) or len(wanted.name) > _LONGEST:
            raise ConfigError(
                f"--name {wanted.name!r} is to be a file's name: letters, digits, '.', '-' and '_',"
                f" at most {_LONGEST}."
            )
        return wanted.name
    path = wanted.generated.resolve()
    stem = path.name if path.is_dir() else path.stem
    return re.sub(r"[^\w.-]+", "_", stem).lstrip(".")[:_LONGEST] or "generated"


def _only_evaluate(overrides: tuple[str, ...]) -> None:
    """The corpus is judged against as it is: other sections would say something that is not so."""
    other = [one for one in overrides if not one.startswith(("evaluate.", "seed="))]
    if other:
        raise ConfigError(
            f"--set {other[0]} does not hold for --generated, which compares with the corpus as it"
            " is; options of evaluate and the seed can be set."
        )
