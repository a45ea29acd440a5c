"""Samples of a translation between classes: each pair against the images of its target class.

Beside the images of all classes a GAN that translates nothing would look perfect.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.metrics.copying import MIN_IMAGES
from ...models.metrics.distances import Reference, resampled_kernel
from ...models.metrics.perceptual import Lpips
from ...models.metrics.record import MetricRecord
from ..evaluate.metric_records import Features, MetricSuite
from ..evaluate.tables import Table, frechet_cell, number_cell, spread_cell
from .pairs import Pair, output_diversity, rows_by_pair
from .read import Samples

Floats = NDArray[np.float64]

MEAN = "mean of pairs"


@dataclass(frozen=True)
class Domains:
    """The classes of the corpus, and what each is compared with."""

    classes: tuple[str, ...]
    ids: NDArray[np.int64]  # class of each image that sets are compared with, -1 without one
    suite: MetricSuite
    lpips: Lpips | None
    seed: int

    def real(self, target: int) -> Features:
        """Features of the real images of a class."""
        return np.asarray(self.suite.real.reference[self.ids == target])


@dataclass(frozen=True)
class Translation:
    """The figures of one set."""

    facts: dict[str, Any]  # pairs, what is missing; for NAME.json
    means: dict[str, MetricRecord]  # name -> mean over pairs; {} where a pair cannot be judged
    resampled: Floats | None  # (1 + R,) kernel distances, mean over pairs

    def replace_records(self, records: Iterable[MetricRecord]) -> list[MetricRecord]:
        """The records of the set, the distances of all images being those of pairs."""
        return [self.means.get(record.name, record) for record in records]


def evaluate_pairs(samples: Samples, features: Features, domains: Domains) -> Translation | None:
    """Evaluates every pair; None where the set is no translation.

    Raises:
        FeaturesError: images too small for LPIPS.
        InputError: a folder that is the name of two pairs.
    """
    rows = rows_by_pair(samples.names, domains.classes, samples.name)
    if not rows:
        return None
    reasons = _reasons(rows, domains)
    pairs = [_evaluate_pair(pair, some, samples, features, domains) for pair, some in rows.items()]
    facts = {"pairs": [each for each, _ in pairs], "missing": reasons}
    if reasons:
        return Translation(facts, {}, None)
    resampled = [
        resampled_kernel(Reference(domains.real(target)), features[some], domains.seed)
        for (_, target), some in rows.items()
    ]
    means = _means([records for _, records in pairs], samples.name)
    return Translation(facts, means, np.asarray(np.mean(resampled, axis=0)))


def _reasons(rows: dict[Pair, NDArray[np.int64]], domains: Domains) -> list[str]:
    """Why pairs cannot be judged; none where all can."""
    names = domains.classes
    reasons = [
        f"{names[source]} to {names[target]} has {len(some)} images"
        for (source, target), some in rows.items()
        if len(some) < MIN_IMAGES
    ]
    for target in sorted({target for _, target in rows}):
        count = len(domains.real(target))
        if count < MIN_IMAGES:
            reasons.append(f"{count} {domains.suite.reference_name} are of class {names[target]}")
    return reasons


def _evaluate_pair(
    pair: Pair,
    rows: NDArray[np.int64],
    samples: Samples,
    features: Features,
    domains: Domains,
) -> tuple[dict[str, Any], list[MetricRecord]]:
    source, target = (domains.classes[each] for each in pair)
    subset = f"{samples.name}, {source} to {target}"
    found = domains.suite.records_of_class(features[rows], domains.real(pair[1]), subset)
    records = list(found)
    facts: dict[str, Any] = {"source": source, "target": target, "images": len(rows)}
    facts["records"] = [record.as_json() for record in records]
    if domains.lpips is not None and len(rows) > 1:
        names = [samples.names[row] for row in rows]
        images = np.asarray(samples.images[rows])
        facts["lpips"] = output_diversity(domains.lpips, images, names, domains.seed)
    return facts, records


def _means(pairs: Sequence[Sequence[MetricRecord]], subset: str) -> dict[str, MetricRecord]:
    """Name -> the mean over pairs, each counting once, of a record that all of them have."""
    means = {}
    for first in pairs[0]:
        same = [record for records in pairs for record in records if record.name == first.name]
        if len(same) == len(pairs):
            means[first.name] = replace(
                first,
                value=float(np.mean([record.value for record in same])),
                n=sum(record.n for record in same),
                subset=subset,
                reference=f"{first.reference}, {MEAN}",
                reference_n=min(record.reference_n or 0 for record in same),
                std=None,
                std_of=None,
                parameters={**first.parameters, "mean_of_pairs": len(pairs)},
                notes=tuple(dict.fromkeys(note for record in same for note in record.notes)),
            )
    return means


def translated_sets(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The sets of a report that are translations."""
    return [each for each in report["sets"] if each.get("translation")]


def pairs_table(report: dict[str, Any]) -> Table | None:
    """A row for each set and pair, and the mean of its pairs; None without a translation."""
    sets = translated_sets(report)
    if not sets:
        return None
    lpips = _heads_of_lpips(sets)
    fidelity = ("precision", "recall", "coverage")
    heads = ["set", "from", "into", "images", f"{report['kd']} x 1000", report["fd"]]
    rows = []
    for samples in sets:
        for pair in samples["translation"]["pairs"]:
            named = [samples["name"], pair["source"], pair["target"], f"{pair['images']:,}"]
            cells = _cells(pair["records"], report, fidelity)
            rows.append([*named, *cells, *_lpips_cells([pair], lpips)])
        pairs = samples["translation"]["pairs"]
        if len(pairs) > 1 and not samples["translation"]["missing"]:
            named = [samples["name"], MEAN, "", f"{samples['judged']:,}"]
            cells = _cells(samples["records"], report, fidelity)
            kernel = samples["kernel"]
            cells[0] = spread_cell(1000 * kernel["value"], 1000 * kernel["standard_error"])
            rows.append([*named, *cells, *_lpips_cells(pairs, lpips)])
    return Table([*heads, *fidelity, *lpips], rows)


def describe_translation(samples: dict[str, Any]) -> list[str]:
    """What a reader must know of a set's figures; nothing where it is no translation."""
    translation = samples.get("translation")
    if not translation:
        return []
    if translation["missing"]:
        return [
            "a translation of which not every pair can be judged, for want of"
            f" {MIN_IMAGES} images ({'; '.join(translation['missing'])}). Its figures compare it"
            " with all classes at once, where a GAN that translates nothing would look perfect."
            " Hold more images out, or have more made."
        ]
    count = len(translation["pairs"])
    return [
        f"a translation of {count} pair{'s' if count > 1 else ''}: distances, precision, recall,"
        " density and coverage compare each pair with the real images of its target class, and are"
        " means over pairs. The row of training images compares all classes at once."
    ]


def _cells(
    records: Sequence[dict[str, Any]], report: dict[str, Any], fidelity: Sequence[str]
) -> list[str]:
    by_name = {record["name"]: record for record in records}
    values = {name.partition("_")[0]: record["value"] for name, record in by_name.items()}
    kernel, frechet = by_name.get(report["kd"]), by_name.get(report["fd"])
    return [
        "" if kernel is None else number_cell(1000 * kernel["value"]),
        "" if frechet is None else frechet_cell(frechet["value"], biased=bool(frechet["notes"])),
        *(number_cell(values.get(name)) for name in fidelity),
    ]


def _heads_of_lpips(sets: Sequence[dict[str, Any]]) -> list[str]:
    found = [
        pair["lpips"]
        for samples in sets
        for pair in samples["translation"]["pairs"]
        if "lpips" in pair
    ]
    return list(dict.fromkeys(f"{one['name']}, {one['of']}" for one in found))


def _lpips_cells(pairs: Sequence[dict[str, Any]], heads: Sequence[str]) -> list[str]:
    """The mean of the pairs under each head, where all of them have such a value."""
    cells = []
    for head in heads:
        values = [
            pair["lpips"]["value"]
            for pair in pairs
            if "lpips" in pair and f"{pair['lpips']['name']}, {pair['lpips']['of']}" == head
        ]
        cells.append(number_cell(float(np.mean(values)) if len(values) == len(pairs) else None))
    return cells
