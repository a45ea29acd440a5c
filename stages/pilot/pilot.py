"""The stage `pilot`: which way of mixing suits these images, before the corpus is made.

Every candidate makes the same few hundred mixtures. Their images are compared with held-out images
on the features of the stage `evaluate`, and a rule chooses one (rule.py). All of it follows from
the seed but one thing: which candidates fit into the time allowed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, Interrupted, ScoreMixError
from ...manifests.files.atomic import write_bytes, write_json
from ...manifests.files.crash_points import crash_point
from ...manifests.plan.random_streams import image_seed
from ...manifests.run_folder import PILOT_RECORD, PILOT_SHEET, PILOT_TABLE
from ...models.features.errors import FeaturesError
from ..common.progress import Progress
from ..evaluate.config import EvaluateConfig
from ..evaluate.contact_sheet import draw_columns
from ..evaluate.feature_cache import FeatureCache
from ..evaluate.number_format import round_floats
from ..evaluate.real_images import FeatureSource, RealImages, load_real_features
from ..evaluate.regenerate import TracedBatch
from ..evaluate.sensitivity import Sensitivity, measure_sensitivity
from ..generate.config import GenerateConfig
from .candidates import (
    BRIDGE,
    COPIES,
    MIXUP,
    WITHOUT_NETWORK,
    TimeAllowed,
    choose_in_time,
    rows_in_time,
)
from .config import PilotConfig
from .record import PilotRecord
from .rule import MIN_HELD_OUT, Difference, choose, choose_unseen, without_ratio
from .scores import (
    CandidateImages,
    RealScores,
    Scores,
    copies_of,
    difference,
    measure_batches,
    real_scores,
    score,
)

SHOWN = 12  # rows of the contact sheet: the first ones

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class PilotInputs:
    """What a pilot reads, and how images are made."""

    rows: pa.Table  # plan rows that every candidate makes
    images: Images  # training images (N, H, W, C)
    training_rows: NDArray[np.int64]  # of `images`, without forgotten ones
    reference: Images  # held-out images (M, H, W, C)
    candidates: Mapping[str, GenerateConfig]  # name -> options, resolved; mixup first
    seconds: Mapping[str, float]  # name -> estimated time of one image
    execute: Callable[[pa.Table, GenerateConfig], Iterator[TracedBatch]]
    evaluate: EvaluateConfig  # which features, of how many training images
    config: GenerateConfig  # resolved, method auto
    seed: int
    feature_folder: Path | None = None  # where features of real images are cached


def pilot(config: PilotConfig, inputs: PilotInputs, out: Path, progress: Progress) -> PilotRecord:
    """Writes sheet.png, table.txt and, last of all, pilot.json into `out`.

    Raises:
        ConfigError: features that cannot be had.
        Interrupted: a stop was requested.
        StorageError: a file cannot be written.
    """
    held_out = len(inputs.reference)
    compares = min(held_out, inputs.rows.num_rows) >= MIN_HELD_OUT
    count = rows_in_time(inputs.seconds, inputs.rows.num_rows, config.minutes)
    rows = inputs.rows.slice(0, count if compares else SHOWN)
    # Leave out what does not fit the time allowed: the one choice that depends on the machine.
    time = choose_in_time(
        {name: rows.num_rows * each for name, each in inputs.seconds.items()}, config.minutes
    )
    try:
        # Make the same mixtures in every way that is left, and measure them.
        real = _real_images(config, inputs, rows, progress) if compares else None
        made, failed = _make(rows, time.chosen, inputs, real, progress)
        seen = None if real is None else _sensitivity(inputs, real, rows.num_rows, progress)
    except FeaturesError as error:
        raise ConfigError(str(error)) from error
    # Choose one by the rule.
    of_real, scores = _score(made, rows, inputs, real)
    if of_real is None:
        decision = choose_unseen(list(made), held_out)
    else:
        decision = choose(scores, inputs.config.ratio, _difference_of(made, inputs, real))
        if seen is not None and seen.blind:
            assert real is not None
            decision = without_ratio(decision, real.kd, seen.blind, seen.images)
    if BRIDGE in time.left_out and WITHOUT_NETWORK.issuperset(made):
        decision = replace(decision, reason=f"{decision.reason} {_without_network(time, config)}")
    record = PilotRecord(
        decision=decision,
        scores=scores,
        real=of_real,
        rows=rows.num_rows,
        held_out=held_out,
        left_out={**time.left_out, **failed},
        options=_open_options(inputs.config, inputs.candidates[decision.choice]),
        features={} if real is None else real.extractor.describe(),
        seed=inputs.seed,
        sensitivity=None if seen is None else seen.as_json(),
    )
    crash_point("pilot-compared")
    _write(record, made, rows, inputs.images, out)
    crash_point("pilot-written")
    return record


def _without_network(time: TimeAllowed, config: PilotConfig) -> str:
    return (
        f"Nothing that the network makes was compared: {BRIDGE} {time.left_out[BRIDGE]}. Set"
        f" pilot.minutes above {config.minutes:g}, or generate.method to bridge."
    )


def _real_images(
    config: PilotConfig, inputs: PilotInputs, rows: pa.Table, progress: Progress
) -> RealImages:
    """Features of held-out images, of the parents of `rows`, and of other training images."""
    evaluate = inputs.evaluate
    cache = FeatureCache(inputs.feature_folder)
    return load_real_features(
        inputs.images,
        inputs.training_rows,
        inputs.reference,
        rows,
        FeatureSource(evaluate.features, evaluate.inception_weights, cache),
        sample_size=config.rows,
        least=evaluate.training_rows,
        seed=inputs.seed,
        progress=progress,
    )


def _make(
    rows: pa.Table,
    names: tuple[str, ...],
    inputs: PilotInputs,
    real: RealImages | None,
    progress: Progress,
) -> tuple[dict[str, CandidateImages], dict[str, str]]:
    """The images of each candidate, and why a candidate made none."""
    made, failed = dict[str, CandidateImages](), dict[str, str]()
    extractor = None if real is None else real.extractor
    with progress.task("pilot", len(names) * rows.num_rows, "images") as advance:
        for name in names:
            batches = inputs.execute(rows, inputs.candidates[name])
            try:
                made[name] = measure_batches(batches, extractor, SHOWN, advance)
            except Interrupted:
                raise
            except ScoreMixError as error:
                if name == MIXUP:
                    raise
                failed[name] = f"it made no images: {error}"
    return made, failed


def _sensitivity(
    inputs: PilotInputs, real: RealImages, count: int, progress: Progress
) -> Sensitivity:
    """Which damage the extractor sees on as many images as are compared, as `evaluate` asks."""
    return measure_sensitivity(
        real.extractor,
        inputs.images,
        inputs.training_rows,
        real.reference,
        FeatureCache(inputs.feature_folder),
        count=count,
        seed=inputs.seed,
        progress=progress,
    )


def _score(
    made: Mapping[str, CandidateImages],
    rows: pa.Table,
    inputs: PilotInputs,
    real: RealImages | None,
) -> tuple[RealScores | None, list[Scores]]:
    """Scores of held-out images, of copies and of each candidate; none without a comparison."""
    if real is None:
        return None, []
    of_real = real_scores(inputs.reference, real)
    copies = copies_of(rows, inputs.images, real)
    seed = image_seed(inputs.seed, "pilot")
    scores = [
        score(name, images, made[MIXUP], copies, real, of_real, seed)
        for name, images in {COPIES: copies, **made}.items()
    ]
    return of_real, scores


def _difference_of(
    made: Mapping[str, CandidateImages], inputs: PilotInputs, real: RealImages | None
) -> Difference:
    assert real is not None
    seed = image_seed(inputs.seed, "pilot")
    return lambda name, other: difference(made[name], made[other], real, seed)


def _write(
    record: PilotRecord,
    made: Mapping[str, CandidateImages],
    rows: pa.Table,
    images: Images,
    out: Path,
) -> None:
    first = rows.slice(0, SHOWN)
    parents = {
        f"parent {number}": np.asarray(images[first[f"row_{number}"].to_numpy()])
        for number in (1, 2)
    }
    columns = parents | {name: candidate.shown for name, candidate in made.items()}
    title = f"pilot: {record.decision.choice} was chosen; lambda is the weight of parent 1"
    draw_columns(columns, first["lambda"].to_numpy(), out / PILOT_SHEET, title)
    write_bytes(out / PILOT_TABLE, record.as_text().encode())
    write_json(out / PILOT_RECORD, round_floats(record.as_json()))


def _open_options(config: GenerateConfig, decided: GenerateConfig) -> dict[str, Any]:
    """The options that `method: auto` leaves open, as the candidate has them."""
    before, after = (each.model_dump(mode="json") for each in (config, decided))
    return {name: value for name, value in after.items() if value != before[name]}
