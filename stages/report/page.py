"""Writes the HTML report of a run."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.extras import require
from ...manifests.files.atomic import write_bytes
from ...manifests.foreign_text import fit_to_print
from ...manifests.plan.made import made_identity
from ...manifests.run_folder import RunFolder
from ...manifests.storage.store import Store
from ..common.units import format_bytes, format_duration
from ..corpus.store import open_corpus
from ..evaluate.baseline import MIXUP, baseline_of
from ..evaluate.number_format import format_kernel, format_number
from ..evaluate.row_sample import MIXED_LAMBDA
from ..evaluate.sentences import Change, describe_change
from ..evaluate.tables import Table, frechet_cell
from . import charts, gan_samples, pictures
from .answers_section import answers_section
from .appearance_section import appearance_section
from .metrics_table import metrics_table
from .pilot_section import pilot_section
from .random_grids import random_grids
from .run_facts import RunFacts, norms_of, read_facts
from .training_reading import read_curve
from .trial_section import TRIAL_STRIP, trial_section
from .variants_table import variants_section

_KINDS = {  # colours of style.html
    "better": ("good", "Better than"),
    "worse": ("bad", "Worse than"),
    "no different": ("unsure", "Not clearly different from"),
    "none": ("faint", "No verdict"),
}


def write_report(run: Path, shards: Store) -> Path:
    """Writes RUN/report/index.html from the run's evaluation and its published shards.

    Returns the path of the page.

    Raises:
        ConfigError: no evaluation or no published shards yet; jinja2 or matplotlib is missing.
        VerifyError: metrics.json is damaged.
        StorageError: the file cannot be written.
    """
    path = RunFolder(run).report_page
    images = open_corpus(RunFolder(run).corpus).images
    write_page(read_facts(run, shards), images, path)
    return path


def write_page(facts: RunFacts, training: NDArray[np.uint8], out: Path) -> None:
    """Writes the page. training: uint8 (N, H, W, C), as plan rows number it.

    Raises:
        ConfigError: jinja2 or matplotlib is missing.
        StorageError: the file cannot be written.
    """
    values = {**head_of(facts), **_distances(facts), **_network(facts), **_rest(facts)}
    files = RunFolder(facts.run)
    for name, path in (
        ("sheet", files.contact_sheet),
        ("lambda_strips", files.lambda_strips),
        ("new_classes", files.new_class_sheet),
    ):
        values[name] = pictures.file_uri(path) if path.exists() else None
    values["is_mixup"] = facts.metrics["method"] in MIXUP
    values["clipped"] = facts.metrics.get("clipped")  # where new classes extrapolate
    values["grids"] = random_grids(facts, training)
    values["appearance"] = appearance_section(facts.metrics)
    values["pairs"] = pictures.neighbours(facts, training)
    mixed = facts.augmented & (facts.folded >= MIXED_LAMBDA)
    values["compared"] = min(pictures.COMPARED, int(mixed.sum()))
    strips = pictures.extremes(facts)
    values["strips"] = [
        (f"The {name} norms of all images with folded lambda ≥ .1:", some)
        for name, some in strips.items()
    ]
    values["pilot"] = pilot_section(facts.run, facts.config)
    values["generated"] = gan_samples.sections(facts.run)
    made = made_identity(facts.index["recipe"], facts.manifest)
    values["trial"] = trial_section(facts.run, training[facts.real[0][:TRIAL_STRIP]], made)
    values["answers"] = answers_section(facts, values["trial"])
    write_bytes(out, render("page.html", values))


def render(template: str, values: dict[str, Any]) -> bytes:
    """The bytes of a page from a template of this folder; every value is escaped, charts apart."""
    jinja2 = require("jinja2", "report", "The report")
    page: str = _templates(jinja2).get_template(template).render(values)
    return (page + "\n").encode()


@cache
def _templates(jinja2: Any) -> Any:
    """The templates of this folder; each is compiled once a process."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_fit,
    )
    environment.filters["number"] = format_number
    return environment


def _fit(value: Any) -> Any:
    """A value of a page; texts from outside without control characters and secrets of URLs."""
    return fit_to_print(value) if type(value) is str else value  # not Markup: a chart


def names_of(metrics: dict[str, Any]) -> tuple[str, str]:
    """Names of the kernel and of the Frechet distance in this evaluation."""
    keys = metrics["real_floor"] or metrics["bands"][0]["mixup"]
    kd = next(name for name in keys if name.startswith("k"))
    fd = next(name for name in keys if name.startswith("f") and name != "fd_biased")
    return kd, fd


def steps_of(metrics: dict[str, Any]) -> tuple[str, ...]:
    """The steps that the method has: one for mixup, and after it one for bridge."""
    method = metrics["method"]
    if method in MIXUP:
        return ("mixup",)
    return ("mixup", "minimised", "final") if "scoremix" in method else ("mixup", "final")


def head_of(facts: RunFacts) -> dict[str, Any]:
    """Title, verdict and counts of a run."""
    index, verdict = facts.index, facts.metrics["verdict"]
    counts, side = index["counts"], index["resolution"]
    colour, headline = _KINDS.get(verdict["kind"], _KINDS["none"])
    if verdict["kind"] in ("better", "worse", "no different"):
        headline = f"{headline} {baseline_of(facts.metrics['method']).name}"
    size = sum(entry["filesize"] for entry in index["shardlist"])
    return {
        "title": f"{index['name']}: {counts['real']:,} real, {counts['augmented']:,} made",
        "subtitle": f"{facts.metrics['method']}, ratio {index['ratio']}, {side} px,"
        f" run {facts.run.name}",
        "colour": colour,
        "headline": headline,
        "verdict": verdict["text"],
        "numbers": [
            ("real images", f"{counts['real']:,}"),
            ("augmented images", f"{counts['augmented']:,}"),
            ("held out", f"{facts.inputs.get('reference', 0):,}"),
            ("classes", f"{len(index['classes']) or 'none'}"),
            ("shards", f"{counts['shards']:,}"),
            ("in shards", format_bytes(size)),
        ],
        "inputs": ", ".join(f"{count:,} {word}" for word, count in facts.inputs.items()) + ".",
    }


def _distances(facts: RunFacts) -> dict[str, Any]:
    metrics = facts.metrics
    kd, fd = names_of(metrics)
    real = metrics["real_floor"]
    steps = [step for step in (*steps_of(metrics), "copies") if step in metrics["bands"][0]]
    extractor = metrics["features"]
    shown = [band for band in metrics["bands"] if band["n"] >= 2]
    measures, notes = metrics_table(metrics["records"])
    return {
        "bands": _bands(metrics, steps, kd, fd),
        "distance_charts": [
            # Frechet distances depend on the number of images, so real ones are no floor there.
            charts.band_bars(
                shown, steps, real[name] if real and factor != 1 else None, name, factor
            )
            for name, factor in ((kd, 1000), (fd, 1))
            if factor != 1 or not _is_biased(metrics)
        ]
        if shown
        else [],
        "real": ""
        if not real
        else f"Training images, as a sample of their kind: {_kernel(real[kd])} in {kd} × 1000,"
        f" {_frechet(real, fd)} in {fd}. Copies: exact copies of each image's nearer parent, the"
        " baseline for the others.",
        "differences": _differences(metrics, kd),
        "features": f"Features: {extractor.get('label', extractor['name'])}.",
        "measures": measures,
        "notes": notes,
        "variants": variants_section(metrics.get("variants")),
        "ratio_charts": _ratio_charts(metrics, steps, kd, fd),
        "ratio_intervals": any("less_real_images" in one for one in metrics.get("by_ratio") or ()),
        "ratios_left_out": bool(metrics.get("by_ratio")),
        "copying": (metrics["copying"] or {}).get("text"),
    }


def _ratio_charts(metrics: dict[str, Any], steps: list[str], kd: str, fd: str) -> list[str]:
    """The kernel distance by ratio; the Frechet distance too, where it is not mostly bias."""
    entries: list[dict[str, Any]] = metrics.get("by_ratio") or []
    if not any(entry.get("exact_copies") for entry in entries):
        return []
    # Mixup may be so far that nothing else can be told apart beside it.
    others = [step for step in steps if step not in ("mixup", "minimised")]
    shown = [(steps, kd, 1000.0)] + ([(others, kd, 1000.0)] if "final" in others else [])
    if not _is_biased(metrics):
        shown.append((steps, fd, 1.0))
    return [charts.ratio_curves(entries, *each) for each in shown]


def _is_biased(metrics: dict[str, Any]) -> bool:
    """Whether Frechet distances of this evaluation are mostly bias: they are not drawn then."""
    return bool(metrics["lambda_from_0.1"]["final"]["fd_biased"])


def _bands(metrics: dict[str, Any], steps: list[str], kd: str, fd: str) -> Table:
    """Both distances of each step, by band of folded lambda."""
    heads = ["lambda, folded", "images", "share of corpus"]
    named = {"mixup": baseline_of(metrics["method"]).name}
    heads += [f"{name}, {named.get(step, step)}" for name in (f"{kd} × 1000", fd) for step in steps]
    rows = [
        [
            band["lambda"],
            f"{band['n']:,}",
            f"{100 * band['share_of_corpus']:.0f} %",
            *(_kernel(band[step][kd]) for step in steps),
            *(_frechet(band[step], fd) for step in steps),
        ]
        for band in [*metrics["bands"], metrics["lambda_from_0.1"]]
    ]
    return Table(heads, rows)


def _differences(metrics: dict[str, Any], kd: str) -> list[str]:
    """A sentence on each step, for lambda >= .1; negative differences are improvements."""
    mixed, steps = metrics["lambda_from_0.1"], steps_of(metrics)
    sentences = []
    for key, step, before, after, subject in (
        ("final_minus_mixup", "final", "mixup", "final", "The whole method"),
        ("minimised_minus_mixup", "minimised", "mixup", "minimised", "The minimisation alone"),
        ("final_minus_minimised", "minimised", "minimised", "final", "The denoising after it"),
    ):
        pair = mixed.get(key, {}).get(kd) if step in steps else None
        if pair:
            values = (mixed[name][kd] for name in (before, after))
            change = Change(pair["difference"], pair["interval_95"], *values)
            sentences.append(describe_change(subject, change, f"{kd} × 1000"))
    return sentences


def _network(facts: RunFacts) -> dict[str, Any]:
    training, sentences = None, []
    if len(facts.training) > 1:
        training = charts.training_curves(facts.training)
        last = facts.training[-1]
        sentences.append(read_curve(facts.training))
        sentences.append(f"Trained for {last['step']:,} updates, {last['images']:,} images.")
    norms, histogram, medians = norms_of(facts), None, ""
    if norms:
        histogram = charts.norm_histograms(norms)
        median = {name: float(np.median(values)) for name, values in norms.items()}
        listed = ", ".join(f"{name} {format_number(value)}" for name, value in median.items())
        medians = f"Median score norms per dimension: {listed}."
    return {
        "training_chart": training,
        "network": [sentence for sentence in sentences if sentence],
        "norm_chart": histogram,
        "medians": medians,
    }


def _rest(facts: RunFacts) -> dict[str, Any]:
    tasks = {"ingest": "ingest", "train": "train", "write": "generate"}
    cost = []
    for stage, seconds in facts.cost.seconds.items():
        rate = facts.cost.rates.get(tasks.get(stage, ""))
        cost.append(
            {
                "name": stage,
                "time": format_duration(seconds),
                "rate": f"{rate:,.1f} images/s" if rate else "",
                "energy": _energy(facts.cost.joules.get(stage, {})),
            }
        )
    bad = sum(facts.inputs.get(word, 0) for word in ("rejected", "duplicate"))
    return {
        "cost": cost,
        "measured_energy": any(row["energy"] for row in cost),
        "environments": facts.environments,
        "rejects": facts.rejects,
        "more_rejects": bad - len(facts.rejects),
        "digests": sorted(facts.digests.items()),
        "config": facts.config,
    }


def _kernel(value: float | None) -> str:
    return "–" if value is None else format_kernel(value)


def _frechet(distances: dict[str, Any], name: str) -> str:
    value = distances.get(name)
    return frechet_cell(value, biased=bool(distances.get("fd_biased"))) or "–"


def _energy(joules: dict[str, float]) -> str:
    """ "12.3 Wh (processors 2.3, GPUs 10)"; empty where it was not measured."""
    if not joules:
        return ""
    names = {"cpu": "processors", "gpu": "GPUs"}
    parts = ", ".join(
        f"{names[kind]} {format_number(value / 3600)}" for kind, value in sorted(joules.items())
    )
    return f"{format_number(sum(joules.values()) / 3600)} Wh ({parts})"
