"""The command `check`: says before a training what would end it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...manifests.errors import VerifyError
from ..echo import echo
from .options import LOCAL, QUIET

if TYPE_CHECKING:
    from ...stages.check.report import CheckResult


def _reader_name(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """The name of a target or trainer in lower case; looked up when used, not for --help."""
    from ...manifests.trainers.requirements import reader_names

    if value is None or value.lower() in reader_names():
        return value and value.lower()
    raise click.BadParameter(f"{value!r} is not known. Known are: {', '.join(reader_names())}.")


@click.command()
@click.argument("path", type=LOCAL)
@click.option(
    "--for",
    "reader",
    callback=_reader_name,
    metavar="TARGET|TRAINER",
    help="stylegan, imagefolder, unpaired, hdf5, lmdb, or a trainer as in docs/check.md, such as"
    " stylegan3, stargan-v2, biggan, cut. Default: tell who can read it.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    help="Images of a batch that you will train with. Default: the trainer's usual one.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole report as JSON.")
@QUIET
def check(path: Path, reader: str | None, batch: int | None, as_json: bool, quiet: bool) -> None:
    """Say whether a trainer reads the corpus at PATH to its end: any corpus, ours or not.

    PATH: a folder or zip of images, an HDF5 file, a folder with an LMDB. Every image is decoded.
    Ends with 0 if it can be read, 3 if not, 2 if PATH is missing or empty.
    """
    from ...stages.check.empty import refuse_empty

    refuse_empty(path)
    from ...stages.check.check import check_corpus, is_shards
    from ...stages.check.report import printable_path
    from ..progress import ProgressReporter

    results = check_corpus(path, reader, ProgressReporter(quiet), batch=batch)
    readable = any(one.readable for one in results)
    if as_json:
        report = {"path": printable_path(path), "for": reader, "readable": readable}
        listed = {"verdicts": [one.as_json() for one in results]}
        echo(json.dumps(report | listed, indent=2))
    elif reader is None:
        echo(_overview(results))
    else:
        echo("\n".join(_full_text(one) for one in results))
    if not readable:
        who = reader or "any trainer that is known here"
        where = "are listed above" if reader or as_json else "come with --for, as in --for stylegan"
        hint = ""
        if is_shards(path):
            hint = " These are shards: run `scoremix-pipeline export` first."
        elif _has_table(path):
            hint = " Parquet is not read here: docs/trainers.md, Hugging Face's datasets."
        raise VerifyError(
            f"{printable_path(path)} cannot be read to its end by {who}. The findings and their"
            f" remedies {where}.{hint}"
        )


def _has_table(path: Path) -> bool:
    """Whether `path` is a Parquet file or a folder that has one at its top."""
    files = [path] if path.is_file() else path.iterdir()
    return any(file.suffix == ".parquet" for file in files)


def _full_text(result: "CheckResult") -> str:
    """One result in full: findings, facts, options."""
    from ...stages.check.report import facts_line

    lines = [str(one) for one in result.findings]
    if result.readable:
        lines.append(f"{result.name} reads it: {facts_line(result.facts)}")
        lines += [f"remember: {line}" for line in result.remember]
    return "\n".join(lines)


def _overview(results: list["CheckResult"]) -> str:
    """A small table: for each target who reads it, and who does not and why; then the facts."""
    from ...stages.check.report import facts_line

    lines = []
    for target in dict.fromkeys(one.target for one in results):
        mine = [one for one in results if one.target == target]
        yes = ", ".join(_with_warnings(one) for one in mine if one.readable) or "nobody"
        lines.append(f"{target + ':':<13}read by {yes}")
        no: dict[str, list[str]] = {}
        for one in mine:
            if not one.readable:
                no.setdefault(_first_reason(one), []).append(one.name)
        lines += [f"{'':<13}not by {', '.join(names)}: {reason}" for reason, names in no.items()]
    good = [one.facts for one in results if one.readable]
    known = next((facts for facts in good if facts.get("classes")), good[0] if good else {})
    return "\n".join([*lines, facts_line(known)] if known else lines)


def _with_warnings(result: "CheckResult") -> str:
    count = len(result.findings)
    return result.name + (f" ({count} warning{'s' if count > 1 else ''})" if count else "")


def _first_reason(result: "CheckResult") -> str:
    finding = result.findings[0]
    more = f" and {finding.count - 1:,} more" if finding.count > 1 else ""
    errors = sum(one.severity == "error" for one in result.findings) - 1
    others = f" and {errors} other error{'s' if errors > 1 else ''}" if errors else ""
    return f"{finding.rule} ({finding.files[0][0]}{more}){others}"
