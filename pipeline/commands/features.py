"""The command `features`: makes a network that the evaluation can see with."""

from pathlib import Path

import click

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import storage_errors
from ...manifests.files.durable import rename, sync_file
from ...models.features.published import INCEPTION_FILE
from ..echo import echo
from .options import LOCAL


@click.command()
@click.option(
    "--make",
    "path",
    type=LOCAL,
    metavar="FILE",
    required=True,
    help="The file to write. Its name says which network: mobilenetv2.pt (torchvision), dino.pt"
    " (timm), inception-2015-12-05.pt (with --from), or any name with --from.",
)
@click.option(
    "--from",
    "source",
    type=LOCAL,
    metavar="FILE",
    help="A local file to make it of: published weights, or a TorchScript network, which is checked"
    " and copied. Default: torchvision or timm fetch the weights.",
)
def features(path: Path, source: Path | None) -> None:
    """Make a network that images are compared by, for `evaluate --features FILE`.

    A TorchScript file runs what it holds: use those of people whose programs you would run.
    """
    from ..own_places import refuse_existing, refuse_output_among

    refuse_existing(path)
    refuse_output_among(path, (), ())
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path.absolute().parent} is not a folder. Make it first.")
    if source is not None and not source.is_file():
        raise ConfigError(f"--from {source}: there is no such file.")
    from ...models.features.convert import make_features
    from ...models.features.errors import FeaturesError

    try:
        made = make_features(path, source, publish=_publish)
    except FeaturesError as error:
        raise ConfigError(str(error)) from error
    option = f"--features {path}"
    if path.name == INCEPTION_FILE:
        option = f"--features inception --set evaluate.inception_weights={path}"
    echo(f"{path}: {made['dimensions']:,} values an image, sha256 {made['sha256']}")
    echo(f"Next: scoremix-pipeline evaluate RUN {option}")


def _publish(unfinished: Path, path: Path) -> None:
    with storage_errors(path):
        sync_file(unfinished)
        rename(unfinished, path)
