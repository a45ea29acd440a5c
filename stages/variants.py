"""Variants: what each step of the method, and each of its options, is worth on the same plan rows.

Every variant is the configured recipe with some options changed, made of the same rows from the
same noise, and compared with mixup and with what was configured, row by row.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..manifests.errors import Interrupted, ScoreMixError
from ..models.distances import Comparison, Reference, compare
from ..models.features import Extractor
from ..models.metrics.prdc import prdc
from .generate import GenerateConfig
from .presets import BRIDGE_T0
from .progress import Progress
from .trace import Traced

Floats = NDArray[np.float64]
Changes = Mapping[str, Any]  # options of section `generate`
Execute = Callable[[pa.Table, Changes], Iterator[Traced]]
Which = Literal["off", "steps", "all"]

UNMIXED = "real images, denoised"  # lambda = 1: what the network alone costs
MINIMISATION, DENOISING = "minimisation alone", "denoising alone"
_FEWEST = 50  # rows below which nothing is told apart
_T0 = (0.05, 0.15, 0.25, 0.35)
_PUBLISHED: Changes = {
    "steps": 100,
    "lr": 0.005,
    "stop": "none",
    "score_noise": "none",
    "t0": 0.25,
    "denoise": "stochastic",
    "denoise_steps": 25,
    "noise_rule": "ancestral",
}


@dataclass(frozen=True)
class Judged:
    """One variant's images against the held-out ones; differences are its own less the other's."""

    name: str
    changes: Changes
    n: int
    kd: float
    fd: float
    against_mixup: Comparison | None  # None for what has no mixture in it
    against_configured: Comparison | None
    precision: float
    coverage: float
    norm: float | None  # median ||sigma_N S||^2 / D of what came out
    evaluations: tuple[int, int]  # of the network, an image: forward alone, with the gradient

    def as_metrics(self) -> dict[str, Any]:
        """Its entry of metrics.json."""
        plain = {key: value for key, value in asdict(self).items() if not key.startswith("against")}
        for key in ("against_mixup", "against_configured"):
            found: Comparison | None = getattr(self, key)
            if found is not None:
                interval = found.kd_interval
                plain[key] = {"kd_difference": found.kd_difference, "interval_95": interval}
        return plain


@dataclass(frozen=True)
class Failed:
    """A variant that no images came of."""

    name: str
    changes: Changes
    reason: str

    def as_metrics(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Bench:
    """The rows that variants are tried on, and what they are compared with."""

    config: GenerateConfig  # resolved, as configured
    rows: pa.Table  # plan rows with folded lambda >= .1
    reference: Reference
    mixup: Floats  # (n, D) features of those rows
    configured: Floats
    seed: int

    def judge(self, name: str, changes: Changes, features: Floats, norms: Floats | None) -> Judged:
        """features (n, D) of the variant's images, in the order of the rows; norms (n,)."""
        found = prdc(self.reference.vectors, features)
        mixed = name != UNMIXED
        before, now = self.mixup[: len(features)], self.configured[: len(features)]
        same = np.array_equal(now, features)
        config = self.config.model_copy(update=dict(changes))
        return Judged(
            name=name,
            changes=dict(changes),
            n=len(features),
            kd=self.reference.kernel(features),
            fd=self.reference.frechet(features),
            against_mixup=self._compare(before, features) if mixed else None,
            against_configured=self._compare(now, features) if mixed and not same else None,
            precision=found.precision,
            coverage=found.coverage,
            norm=None if norms is None else float(np.median(norms)),
            evaluations=evaluations(config) if mixed else evaluations(config, minimises=False),
        )

    def _compare(self, before: Floats, after: Floats) -> Comparison:
        return compare(self.reference, before, after, self.seed)


def changes_of(which: Which | Mapping[str, Changes], config: GenerateConfig) -> dict[str, Changes]:
    """Name -> changed options, without those that are as configured already."""
    if which == "off" or config.method == "mixup":
        return {}
    chosen = dict(which) if isinstance(which, Mapping) else _named(config, every=which == "all")
    return {
        name: changes
        for name, changes in chosen.items()
        if any(getattr(config, key) != value for key, value in changes.items())
    }


def _named(config: GenerateConfig, *, every: bool) -> dict[str, Changes]:
    scoremix: Changes = {"method": "scoremix"} if config.method != "scoremix" else {}
    if config.method == "bridge":
        scoremix = {"method": "scoremix", "t0": _PUBLISHED["t0"]}
    steps: dict[str, Changes] = {DENOISING: {**scoremix, "steps": 0}}
    if not every:
        return {} if scoremix else steps
    assert config.steps is not None and config.lr is not None
    steps |= {
        MINIMISATION: {**scoremix, "denoise": "off"},
        "as published": {**scoremix, **_PUBLISHED},
        "gentle minimisation": {**scoremix, "steps": 20, "lr": 0.001},
        "twice the steps": {**scoremix, "steps": 2 * config.steps},
        "a fifth of the step size": {**scoremix, "lr": config.lr / 5},
        "stop at real norms": {**scoremix, "stop": "real"},
        "fresh noise in the score": {**scoremix, "score_noise": "fresh"},
    }
    steps |= {f"t0 {t0:g}": {**scoremix, "t0": t0} for t0 in _T0}
    steps |= {f"{DENOISING}, t0 {t0:g}": {**scoremix, "steps": 0, "t0": t0} for t0 in _T0}
    steps |= {
        f"{kind} instead": {**scoremix, "denoise": kind}
        for kind in ("stochastic", "drift", "ode", "tweedie")
    }
    steps |= {
        f"noise rule {rule}": {**scoremix, "noise_rule": rule}
        for rule in ("ancestral", "reverse-sde")
    }
    steps |= {
        f"bridge, t0 {t0:g}": {"method": "bridge", "t0": t0} for t0 in (0.35, BRIDGE_T0, 0.65)
    }
    return steps


def evaluations(config: GenerateConfig, *, minimises: bool = True) -> tuple[int, int]:
    """Of the network for an image, norms apart: forward alone, and with the gradient."""
    assert config.steps is not None and config.denoise_steps is not None
    if config.method == "mixup":
        return 0, 0
    if config.method == "bridge":
        return 6 * (config.denoise_steps - 1), 0
    levels = {"off": 0, "tweedie": 1}.get(config.denoise, config.denoise_steps)
    return levels, config.steps if minimises else 0


def try_variants(
    chosen: Mapping[str, Changes],
    bench: Bench,
    extract: Extractor,
    execute: Execute,
    progress: Progress,
) -> list[Judged | Failed]:
    """Makes and judges each; first of all, unmixed images through the configured denoising.

    A variant that makes no images (not finite, blank, out of memory) is told as such.

    Raises:
        Interrupted: a stop was asked for.
    """
    if not chosen or bench.rows.num_rows < _FEWEST:
        return []
    done: list[Judged | Failed] = []
    unmixed: list[tuple[str, Changes]] = []
    if bench.config.method == "scoremix" and bench.config.denoise != "off":
        unmixed = [(UNMIXED, {"steps": 0})]
    total = bench.rows.num_rows * (len(chosen) + len(unmixed))
    with progress.task("variants", total, "images") as advance:
        for name, changes in [*unmixed, *chosen.items()]:
            rows = _unmixed(bench.rows) if name == UNMIXED else bench.rows
            try:
                made = _made(execute(rows, changes), extract, advance)
            except Interrupted:
                raise
            except ScoreMixError as error:
                done.append(Failed(name, dict(changes), str(error)))
            else:
                done.append(bench.judge(name, changes, *made))
    return done


def _made(
    batches: Iterator[Traced], extract: Extractor, advance: Callable[[int], None]
) -> tuple[Floats, Floats | None]:
    features: list[Floats] = []
    norms: list[NDArray[np.float32]] = []
    for batch in batches:
        features.append(extract(batch.final))
        norms += [] if batch.norms is None else [batch.norms[:, -1]]
        advance(batch.rows.num_rows)
    return np.concatenate(features), np.concatenate(norms).astype(np.float64) if norms else None


def _unmixed(rows: pa.Table) -> pa.Table:
    place = rows.column_names.index("lambda")
    return rows.set_column(place, rows.field(place), pa.array(np.ones(rows.num_rows)))


def told(judged: Sequence[Judged | Failed], unit: float = 1000.0) -> str:
    """What the minimisation and the denoising add, each alone and together, in plain words."""
    found = {item.name: item for item in judged if isinstance(item, Judged)}
    parts = []
    for name, what in (
        (MINIMISATION, "The minimisation alone"),
        (DENOISING, "The denoising alone"),
        ("as configured", "The method as configured"),
    ):
        item = found.get(name)
        if item is not None and item.against_mixup is not None:
            parts.append(_sentence(what, item.against_mixup, unit))
    best = min(
        (item for item in found.values() if item.against_mixup is not None),
        key=lambda item: item.kd,
        default=None,
    )
    if best is not None and len(found) > 4:
        parts.append(f"Nearest to the held-out images of all that was tried: {best.name}.")
    return " ".join(parts)


def _sentence(what: str, found: Comparison, unit: float) -> str:
    low, high = (unit * end for end in found.kd_interval)
    word = "lowers" if high < 0 else "raises" if low > 0 else "does not clearly change"
    return (
        f"{what} {word} the kernel distance of mixup ({unit * found.kd_before:.3g} to"
        f" {unit * found.kd_after:.3g}, 95 % interval of the difference {low:+.3g} to {high:+.3g})."
    )
