"""Metrics of GAN samples as a table and in sentences, for the terminal and the report's page."""

from collections.abc import Callable
from typing import Any

from ...manifests.foreign_text import first_names
from ...models.metrics.copying import MIN_IMAGES
from ..evaluate.number_format import format_kernel, format_number
from ..evaluate.sentences import NONE_HELD_OUT, Change, describe_features, describe_reference
from ..evaluate.tables import Table, frechet_cell, number_cell, spread_cell
from .translation import describe_translation

_FIDELITY_AND_DIVERSITY = ("precision", "recall", "density", "coverage")  # after both distances
_NEEDS_WEIGHTS = ("cs_", "is", "lpips", "pd_")
_DATA_COPYING = -3.0  # C_T below which its authors speak of data-copying
_LISTED = 3  # names in a sentence

Report = dict[str, Any]  # report/generated/NAME.json


def metric_table(report: Report) -> Table:
    """A row for each set and for the real images, a column for each metric."""
    optional = _optional_metrics(report)
    heads = ["set", "images", f"{report['kd']} x 1000", report["fd"]]
    heads += [*_FIDELITY_AND_DIVERSITY, "copies", "C_T", *optional]
    rows = []
    for samples in report["sets"]:
        kernel = _kernel_with_error(samples["kernel"]) if samples["kernel"] else ""
        records = samples["records"]
        rows.append(_row(samples["name"], samples["judged"], records, report, optional, kernel))
    for name in ("training images", "held-out images"):
        records = [record for record in report["real"] if record["subset"] == name]
        if records:
            values = {record["name"]: record["value"] for record in records}
            kernel = format_kernel(values[report["kd"]]) if report["kd"] in values else ""
            rows.append(_row(name, records[0]["n"], records, report, optional, kernel))
    return Table(heads, rows)


def _optional_metrics(report: Report) -> list[str]:
    """Names of the metrics that were computed because weights were given."""
    names = (record["name"] for samples in report["sets"] for record in samples["records"])
    return list(dict.fromkeys(name for name in names if name.startswith(_NEEDS_WEIGHTS)))


def _row(
    name: str, n: int, records: list[Report], report: Report, optional: list[str], kernel: str
) -> list[str]:
    values = {record["name"]: record["value"] for record in records}
    values |= {record["name"].partition("_")[0]: record["value"] for record in records}
    biased = any(record["notes"] for record in records if record["name"] == report["fd"])
    copies = values.get("copies")
    return [
        name,
        f"{n:,}",
        kernel,
        frechet_cell(values.get(report["fd"]), biased=biased),
        *(number_cell(values.get(metric)) for metric in _FIDELITY_AND_DIVERSITY),
        "" if copies is None else f"{copies:.1%}",
        number_cell(values.get("ct")),
        *(number_cell(values.get(metric)) for metric in optional),
    ]


def _kernel_with_error(kernel: dict[str, float]) -> str:
    return spread_cell(1000 * kernel["value"], 1000 * kernel["standard_error"])


def describe_report(report: Report) -> list[str]:
    """One or two sentences on each finding, the most important first."""
    lines = [_best(report)] if report["best"] else [*map(_few_or_single(report), report["sets"])]
    if not report["held_out"]:
        lines.append(f"{NONE_HELD_OUT[0].upper()}{NONE_HELD_OUT[1:]}.")
    for samples in report["sets"]:
        lines += [f"{samples['name']}: {line}" for line in describe_translation(samples)]
        lines += [f"{samples['name']}: {line}" for line in _of_set(samples)]
    for record in report["real"]:
        if record["name"] == report["kd"] and record["subset"] == "training images":
            lines.append(f"Real training images are at {format_kernel(record['value'])}.")
    if described := describe_features(report["features"], "--features"):
        lines.append(described)
    if any(record["notes"] for samples in report["sets"] for record in _frechets(samples)):
        lines.append(f"A star: {report['fd']} is mostly bias at so few images for its dimensions.")
    return lines


def _frechets(samples: Report) -> list[Report]:
    return [record for record in samples["records"] if record["name"].startswith(("fd_", "fid"))]


def _distance(report: Report, kernel: dict[str, float]) -> str:
    reference = describe_reference(report["held_out"])
    return f"{report['kd']} x 1000 {_kernel_with_error(kernel)} {reference}"


def _few_or_single(report: Report) -> Callable[[Report], str]:
    """Set -> its distance, or that it has too few images for one."""

    def describe(samples: Report) -> str:
        counted = f"{samples['name']}: {samples['judged']:,} image"
        counted += "" if samples["judged"] == 1 else "s"
        if samples["kernel"] is None:
            return (
                f"{counted}: too few for distances, of which {MIN_IMAGES} are needed; copies and"
                " nearest training images are of these alone. Some thousands tell snapshots apart."
            )
        return f"{counted}, {_distance(report, samples['kernel'])}."

    return describe


def _best(report: Report) -> str:
    best = report["best"]
    kernel = next(one["kernel"] for one in report["sets"] if one["name"] == best["name"])
    compared = sum(one["kernel"] is not None for one in report["sets"])
    text = f"Best of {compared} snapshots: {best['name']}, {_distance(report, kernel)}."
    alike = best["alike"]
    if alike:
        named = [
            f"{other['name']} ({Change(other['difference'], other['interval_95']).figures})"
            for other in alike
        ]
        listed = first_names(named, _LISTED, "; ")
        text += f" Not significantly farther: {listed}. More samples of each may tell."
    else:
        text += " All others are significantly farther (95 %)."
    other = best["by_frechet"]
    if other not in (None, best["name"]):
        text += f" By {report['fd']} it would be {other}."
    return text


def _of_set(samples: Report) -> list[str]:
    """What a reader must know of one set: copies, repeated images, files that were left out."""
    lines = list(samples["notes"])
    if samples["copying"] and samples["copying"]["kind"] == "copying":
        lines.append(samples["copying"]["text"])
    c_t = next((r["value"] for r in samples["records"] if r["name"].startswith("ct_")), None)
    near = samples["near_copies"]
    if c_t is not None and c_t < _DATA_COPYING and near and near["more"]:
        lines.append(
            f"C_T is {format_number(c_t)}, and {near['count']:,} images lie near one training image"
            " and no other, as recompressed or slightly changed copies would. Below -3 the test's"
            " authors speak of data-copying; a GAN that was trained on mixtures lies nearer, too."
        )
    elif c_t is not None and c_t < _DATA_COPYING and near:
        lines.append(
            f"C_T is {format_number(c_t)}, but these images lie near no single training image:"
            " flat, blurred and noisy ones are as near to many. That is no sign of copying."
        )
    exact = samples["exact_copies"]
    if exact["count"]:
        first = exact["first"][0]
        lines.append(
            f"{exact['count']:,} images ARE training images, pixel by pixel, as {first['name']} is"
            f" {first['training']}."
        )
    if samples["held_out_images"]:
        lines.append(f"{samples['held_out_images']:,} images are held-out ones, pixel by pixel.")
    if samples["alike"]:
        lines.append(f"{samples['alike']:,} images have the pixels of another one of the set.")
    left_out = samples["left_out"]
    if left_out["count"]:
        files = (f"{row['name']} ({row['reason']})" for row in left_out["first"][:_LISTED])
        lines.append(f"{left_out['count']:,} files could not be read: {'; '.join(files)}.")
    if samples["files"] > samples["judged"] + left_out["count"]:
        lines.append(f"a seeded choice of {samples['judged']:,} of {samples['files']:,} images.")
    return lines
