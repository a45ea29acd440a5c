"""evaluate: distances to held-out real images, band by band of lambda, and a verdict.

Some plan rows are made again with their intermediate steps, so that mixup, minimisation and
denoising are judged on the same rows. Folded lambda = min(lambda, 1 - lambda) throughout.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, Field, field_validator

from ..manifests.atomic import write_bytes, write_json
from ..manifests.errors import ConfigError
from ..manifests.streams import image_seed, stream
from ..models.distances import Comparison, Reference, compare, is_biased
from ..models.features import Extractor, FeaturesError, open_extractor
from ..models.metrics.dyads import interval_with_parents
from .by_ratio import by_ratio
from .contact_sheet import choose_shown, draw_shown
from .extras import Extras, Weights, mixed_keys
from .feature_cache import FeatureCache, Features, Rows
from .progress import Progress
from .records import Looked, Measured, measure
from .trace import STEPS, Trace, Traced, fold, trace_rows
from .variant_list import Which, check
from .variants import Variation, as_configured, try_variants
from .verdict import Findings, Verdict, as_metrics, judge, norm_quantiles, rounded

ALGORITHM = 4  # raised whenever equal inputs would give other metrics

BANDS = (("< .01", 0.0, 0.01), (".01-.1", 0.01, 0.1), (".1-.3", 0.1, 0.3), (".3-.5", 0.3, 0.51))
HEAVY = 0.1  # folded lambda from which an image is a mixture to the eye; the verdict is on these

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


class EvaluateConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `evaluate`."""

    features: str = "auto"  # auto | pixels | inception | the path of a TorchScript file
    inception_weights: str | None = None  # path of inception-2015-12-05.pt; never downloaded
    lpips: str | None = None  # path of AlexNet's weights, alexnet-owt-7be5be79.pth: LPIPS
    classifier: str | None = None  # path of a TorchScript file that gives logits
    maps: str | None = None  # FILE or FILE#SEQUENCE:LENGTH, for evaluate --generated --target
    rows: int = Field(default=1200, ge=1)  # plan rows that are made again with their steps
    sheet_rows: int = Field(default=24, ge=1)  # of the contact sheet
    # What each step and option is worth on the same rows: the steps; every variant that is known;
    # or a mapping, name -> options of section `generate`.
    variants: Which | dict[str, dict[str, Any]] = "steps"
    variant_rows: int = Field(default=300, ge=1)  # plan rows that each variant is tried on

    @field_validator("variants", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # as YAML reads the word

    @field_validator("variants")
    @classmethod
    def _options_of_generate(cls, value: Any) -> Any:
        for name, changes in value.items() if isinstance(value, dict) else ():
            check(name, changes)
        return value


@dataclass(frozen=True)
class _Real:
    """The real images that distances are taken to, and what the distances are called."""

    extract: Extractor
    held_out: int  # 0: these are training images
    reference: Reference
    looked: NDArray[np.int64]  # rows of the training images that were looked at
    training: Features  # of those: parents of judged images, and a choice of others
    some: Features  # of that choice alone
    kd: str
    fd: str

    def copies(self, rows: pa.Table) -> Features:
        """Of the nearer parent of each row: what exact copies of training images would have."""
        return self.training[np.searchsorted(self.looked, _nearer_parents(rows))]

    def distances(self, x: Features) -> dict[str, Any]:
        """Both distances of one set, None for fewer than two images."""
        if len(x) < 2:
            return {self.kd: None, self.fd: None, "fd_biased": True}
        return {
            self.kd: self.reference.kernel(x),
            self.fd: self.reference.frechet(x),
            "fd_biased": is_biased(len(x), *self.reference.vectors.shape),
        }


def evaluate(
    config: EvaluateConfig,
    *,
    plan: pa.Table,
    manifest: pa.Table,
    images: Images,
    reference: Images,
    execute: Callable[[pa.Table], Iterator[Traced]],
    reference_norms: NDArray[np.float32] | None,
    out: Path,
    seed: int,
    progress: Progress,
    train_more: str,
    reference_ids: NDArray[np.int64] | None = None,
    classes: Sequence[str] = (),
    features: Path | None = None,
    variation: Variation | None = None,
) -> Verdict:
    """Writes contact-sheet.png, verdict.txt and, last of all, metrics.json into `out`.

    images: training images (N, H, W, C); reference: held-out ones (M, H, W, C), M may be 0: then
        distances are to the training images, named *_vs_train, and there is no verdict.
    execute: plan rows -> micro-batches with their steps, the images that the shards hold.
    reference_norms: ||sigma_N S||^2 / D of held-out images; None without a score network.
    train_more: the command line that would train longer, for the verdict to quote.
    reference_ids: (M,) places in `classes` of the held-out images, -1 without a class.
    features: a folder where features of real images are kept; None: they are not.
    variation: how rows are made in another way; None: no variants.

    Equal arguments give the same bytes of metrics.json.

    Raises:
        ConfigError: no augmented rows, or features that cannot be had.
        StorageError: a file cannot be written.
    """
    rows = choose_rows(plan, config.rows, seed)
    try:
        cache = FeatureCache(features)
        alive = plan.filter(pc.equal(plan["kind"], "real"))["row_1"].to_numpy()
        real, floor = _real_images(config, images, alive, reference, rows, seed, progress, cache)
        order = stream(image_seed(seed, "evaluate"), "sheet").permutation(rows.num_rows)
        places = choose_shown(fold(rows["lambda"]), config.sheet_rows, order)
        shown = set(rows["key"].take(places).to_pylist())
        weights = _weights(config)
        extras = Extras(weights, image_seed(seed, "extras")) if weights.asks else None
        kept = shown | (mixed_keys(rows, HEAVY) if extras else set())
        trace = trace_rows(execute(rows), rows.num_rows, manifest, real.extract, kept, progress)
        pictured = extras.of_run(trace.shown, reference, HEAVY) if extras else []
    except FeaturesError as error:
        raise ConfigError(str(error)) from error
    findings = _findings(trace, real, floor, plan, reference_norms, seed, train_more)
    measured = _measured(trace, real, findings, len(alive), reference_ids, classes, seed)
    findings = replace(findings, beside=measured.of_steps(("mixup", "final"), HEAVY))
    verdict = judge(findings)
    metrics = {"algorithm": ALGORITHM, "seed": seed} | as_metrics(findings, verdict)
    metrics |= measured.as_metrics()
    metrics["records"] += [record.as_json() for record in pictured]
    metrics["by_ratio"] = _by_ratio(plan, trace, real)
    metrics["variants"] = _variants(config, variation, trace, real, seed, progress)
    copying = measured.copying
    warning = f"\n{copying.text}\n" if copying and copying.kind == "copying" else ""
    drawn = [item for item in trace.shown if item[0]["key"] in shown]
    draw_shown(drawn, images, out / "contact-sheet.png", findings.method)
    write_bytes(out / "verdict.txt", (verdict.text + "\n" + warning).encode())
    write_json(out / "metrics.json", rounded(metrics))
    return verdict


def choose_rows(plan: pa.Table, count: int, seed: int) -> pa.Table:
    """`count` augmented rows in plan order, seeded; two thirds with lambda >= .1 if there are.

    Raises:
        ConfigError: the plan has no augmented rows.
    """
    augmented = plan.filter(pc.equal(plan["kind"], "augmented"))
    total = augmented.num_rows
    if total == 0:
        raise ConfigError("There are no augmented images to evaluate: the plan has real ones only.")
    order = stream(image_seed(seed, "evaluate"), "rows").permutation(total)
    is_heavy = fold(augmented["lambda"])[order] >= HEAVY
    heavy, light = order[is_heavy], order[~is_heavy]
    count = min(count, total)
    wanted = max(round(count * len(heavy) / total), math.ceil(2 * count / 3), count - len(light))
    wanted = min(wanted, len(heavy))
    chosen = np.concatenate([heavy[:wanted], light[: count - wanted]])
    return augmented.take(np.sort(chosen))


def _real_images(
    config: EvaluateConfig,
    images: Images,
    alive: NDArray[np.int64],
    reference: Images,
    rows: pa.Table,
    seed: int,
    progress: Progress,
    cache: FeatureCache,
) -> tuple[_Real, dict[str, Any] | None]:
    """What distances are taken to, and how far training images are from it: the floor.

    alive: rows of `images` that are in the plan; those of forgotten images are blank.
    """
    order = stream(image_seed(seed, "evaluate"), "training").permutation(len(images))
    chosen = np.sort(order[np.isin(order, alive)][: config.rows])
    looked = np.union1d(chosen, _parents(rows))
    held_out = len(reference)
    against = reference if held_out else np.asarray(images[chosen])
    if len(against) < 2:
        raise FeaturesError(f"{len(against)} real image is not enough to compare with.")
    extract = open_extractor(config.features, config.inception_weights, against)
    suffix = "" if held_out else "_vs_train"
    with progress.task("features", len(looked) + held_out, "images") as advance:
        training = cache.features(extract, Rows(images, looked), advance)
        some = training[np.isin(looked, chosen)]
        target = Reference(cache.features(extract, reference, advance) if held_out else some)
        names = extract.kd + suffix, extract.fd + suffix
        real = _Real(extract, held_out, target, looked, training, some, *names)
        floor = real.distances(some) if held_out else None
    return real, floor


def _parents(rows: pa.Table) -> NDArray[np.int64]:
    """Training images that are looked at for the judged rows: what those could copy, and what they
    are compared with as copies."""
    heavy = fold(rows["lambda"]) >= HEAVY
    found = [rows[name].to_numpy()[heavy] for name in ("row_1", "row_2")]
    parents: NDArray[np.int64] = np.unique(np.concatenate([*found, _nearer_parents(rows)]))
    return parents


def _nearer_parents(rows: pa.Table) -> NDArray[np.int64]:
    """The parent with the greater share of each row; (n,)."""
    lambdas, first, second = (rows[name].to_numpy() for name in ("lambda", "row_1", "row_2"))
    nearer: NDArray[np.int64] = np.where(lambdas >= 0.5, first, second).astype(np.int64)
    return nearer


def _findings(
    trace: Trace,
    real: _Real,
    floor: dict[str, Any] | None,
    plan: pa.Table,
    reference_norms: NDArray[np.float32] | None,
    seed: int,
    train_more: str,
) -> Findings:
    compared = _comparisons(trace, real, image_seed(seed, "evaluate"))
    norms = {"held_out": norm_quantiles(reference_norms)}
    if trace.norms is not None:
        heavy = trace.norms[trace.folded >= HEAVY]
        norms |= {step: norm_quantiles(heavy[:, i]) for i, step in enumerate(STEPS)}
    return Findings(
        method="+".join(sorted(set(trace.rows["method"].to_pylist()))),
        kd=real.kd,
        fd=real.fd,
        features=real.extract.describe() | {"dimensions": real.reference.vectors.shape[1]},
        held_out=real.held_out,
        reproduced=(trace.reproduced, trace.rows.num_rows),
        bands=[_band(trace, real, plan, *band) for band in BANDS],
        heavy=_band(trace, real, plan, ">= .1", HEAVY, BANDS[-1][2]),
        minimised=compared.get("minimised"),
        denoised=compared.get("denoised"),
        final=compared.get("final"),
        other_parents=_with_other_parents(trace, real),
        floor=floor,
        norms=norms,
        train_more=train_more,
    )


def _measured(
    trace: Trace,
    real: _Real,
    findings: Findings,
    training_of: int,
    reference_ids: NDArray[np.int64] | None,
    classes: Sequence[str],
    seed: int,
) -> Measured:
    """The records beside the verdict."""
    looked = Looked(
        extractor=findings.features,
        reference=real.reference.vectors,
        held_out=real.held_out > 0,
        training=real.training,
        training_of=training_of,
        steps=trace.features,
        folded=trace.folded,
        class_ids=trace.rows["class_id"].to_numpy(),
        reference_ids=np.full(real.held_out, -1) if reference_ids is None else reference_ids,
        classes=tuple(classes) if real.held_out else (),
        mixtures=findings.method == "mixup",
    )
    bands = {name: (low, high) for name, low, high in BANDS}
    return measure(looked, bands, HEAVY, image_seed(seed, "records"))


def _weights(config: EvaluateConfig) -> Weights:
    """Inception's classes where its features are looked at, too."""
    inception = config.inception_weights if config.features in ("auto", "inception") else None
    return Weights(config.lpips, config.classifier, None, inception)


def _by_ratio(plan: pa.Table, trace: Trace, real: _Real) -> list[dict[str, Any]]:
    if not real.held_out:
        return []
    steps: dict[str, Features] = {step: trace.features[step] for step in ("mixup", "final")}
    steps["copies"] = real.copies(trace.rows)
    names = (real.kd, real.fd)
    return by_ratio(plan, real.some, steps, trace.folded, HEAVY, real.reference, names)


def _variants(
    config: EvaluateConfig,
    variation: Variation | None,
    trace: Trace,
    real: _Real,
    seed: int,
    progress: Progress,
) -> dict[str, Any] | None:
    """Each step alone and, if asked for, every option, on rows with folded lambda >= .1."""
    if variation is None:
        return None
    heavy = np.flatnonzero(trace.folded >= HEAVY)
    chosen = heavy[np.linspace(0, len(heavy) - 1, min(config.variant_rows, len(heavy))).astype(int)]
    steps = {step: trace.features[step][chosen] for step in STEPS}
    norms = None if trace.norms is None else trace.norms[chosen]
    of = as_configured(variation, trace.rows.take(chosen), steps, norms, real.reference, seed)
    return try_variants(config.variants, variation, of, real.extract, progress)


def _comparisons(trace: Trace, real: _Real, seed: int) -> dict[str, Comparison]:
    heavy = trace.folded >= HEAVY
    if heavy.sum() < 2:
        return {}
    steps = {step: features[heavy] for step, features in trace.features.items()}
    pairs = {
        "minimised": ("mixup", "minimised"),
        "denoised": ("minimised", "final"),
        "final": ("mixup", "final"),
    }
    return {
        name: compare(real.reference, steps[before], steps[after], seed)
        for name, (before, after) in pairs.items()
    }


def _with_other_parents(trace: Trace, real: _Real) -> tuple[float, float] | None:
    """Of final less mixup, were the training images drawn again; None without held-out images."""
    heavy = trace.folded >= HEAVY
    if heavy.sum() < 2 or not real.held_out:
        return None
    parents = np.stack([trace.rows[name].to_numpy()[heavy] for name in ("row_1", "row_2")], axis=1)
    mixup, final = (trace.features[step][heavy] for step in ("mixup", "final"))
    return interval_with_parents(real.reference, mixup, final, parents)


def _band(
    trace: Trace, real: _Real, plan: pa.Table, name: str, low: float, high: float
) -> dict[str, Any]:
    """Rows with low <= folded lambda < high: how many, their share of the corpus, distances."""
    every = fold(plan.filter(pc.equal(plan["kind"], "augmented"))["lambda"])
    inside = (trace.folded >= low) & (trace.folded < high)
    share = float(np.mean((every >= low) & (every < high)))
    steps = {step: real.distances(trace.features[step][inside]) for step in STEPS}
    if real.held_out:
        steps["copies"] = real.distances(real.copies(trace.rows.filter(pa.array(inside))))
    return {"lambda": name, "n": int(inside.sum()), "share_of_corpus": share} | steps
