"""The command `verify`."""

from pathlib import Path

import click

from ...manifests.errors import VerifyError
from ...manifests.storage.location import Place
from ...manifests.storage.store import store_of
from ..ledger import find_shards
from .options import PLACE


@click.command()
@click.argument("shards", type=PLACE)
@click.option("--deep", is_flag=True, help="Also decode every image and compare its pixels.")
@click.option(
    "--subset",
    metavar="N/T",
    help="Read the N-th of T parts of the shards, and every small file: 1/7 on Monday, 2/7 on"
    " Tuesday, ...; all T together read everything.",
)
def verify(shards: Place, deep: bool, subset: str | None) -> None:
    """Check every byte of SHARDS against SHA256SUMS, index, markers and manifest.

    Exit code 3 where a file is changed, missing or extra; each is named. `repair` mends them.
    """
    from ...manifests.published.partition import Partition
    from ...manifests.published.verify import verify as check

    part = Partition.parse(subset) if subset else None
    shards = find_shards(shards)
    problems = check(shards if isinstance(shards, Path) else store_of(shards), deep=deep, part=part)
    if problems:
        for problem in problems:
            click.echo(str(problem))
        raise VerifyError(
            f"{shards} is not what its manifests promise: {len(problems)} problem(s), listed above."
            f" `scoremix-pipeline repair {shards}` makes again what is damaged, from the run that"
            " made it, and nothing else."
        )
    read = f"every file of part {subset}" if subset else "every file"
    pixels = ", and every image decodes to its pixels" if deep else ""
    click.echo(
        f"{shards} is whole: {read} agrees with SHA256SUMS, index, markers and manifest{pixels}."
    )
