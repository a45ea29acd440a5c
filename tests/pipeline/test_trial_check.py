"""What of a trial is refused, or counted, before the run that it follows."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.plan.made import is_same, made_identity
from scoremix.manifests.plan.schema import PLAN
from scoremix.pipeline.config import Config
from scoremix.pipeline.trial_check import check_counts, check_side, notes_on
from scoremix.pipeline.trial_gan import trial_time
from scoremix.stages.ingest.preview import IngestPreview
from scoremix.stages.trial.config import TrialConfig


def test_sizes_and_sides_are_refused_by_what_the_source_holds() -> None:
    with pytest.raises(ConfigError, match="sizes has 5,000, and the run has 35 training images"):
        check_counts(TrialConfig(sizes=[5000]), side=8, training=35, held_out=60)
    with pytest.raises(ConfigError, match=r"24 px, .* Set ingest.resolution to 16 or 32, or"):
        check_counts(TrialConfig(), side=24, training=35, held_out=60)
    check_counts(TrialConfig(sizes=[20]), side=8, training=35, held_out=60)
    for side in (8, 16, 64, 256):
        check_side(side)
    for side in (4, 12, 96):
        with pytest.raises(ConfigError, match="built for"):
            check_side(side)


def test_what_a_trial_will_not_say_is_said_first() -> None:
    assert notes_on(TrialConfig()) == []
    (note,) = notes_on(TrialConfig(seeds=1))
    assert "no conclusion" in note
    assert "has no real" in notes_on(TrialConfig(arms=["own", "mixup"]))[0]


def test_a_dry_run_counts_the_trial_of_its_run() -> None:
    values: dict[str, Any] = {"method": "bridge", "ratio": 2}
    trial = {"arms": ["real", "own:2", "own:9", "mixup"], "images": 64, "batch": 8, "width": 4}
    config = Config.model_validate({"generate": values, "trial": trial}).resolved(8, "cpu", 90)
    samples = np.zeros((4, 8, 8, 1), np.uint8)
    found = IngestPreview(0, 90, 60, 8, 1, 0.0, 0, samples, pa.table({}))
    seconds, text = trial_time(config, found, "cpu", "cpu", 0.0)
    assert seconds > 0 and text.startswith("12 GANs, ") and text.endswith("counted: making own-9")
    own = config.trial.model_copy(update={"command": "train {data} {out}"})
    assert trial_time(config.model_copy(update={"trial": own}), found, "cpu", "cpu", 0.0) == (
        0.0,
        "12 GANs by trial.command: not counted",
    )


def plan_rows(rounds: int, seed: int = 0) -> pa.Table:
    """Two images, and as many made of them in each round."""
    rows = [
        {name: 0 for name in PLAN.names}
        | {"key": f"{row}-{round_}", "kind": "", "shard": "", "source_1": "", "source_2": ""}
        | {"method": "", "round": round_, "row_1": row, "seed": seed + row}
        for round_ in range(rounds + 1)
        for row in range(2)
    ]
    return pa.Table.from_pylist(rows, schema=PLAN)


def test_more_rounds_are_the_same_corpus_to_a_trial_and_other_options_are_not() -> None:
    recipe = {"method": "bridge", "corpus_digest": "a", "micro_batch": 8, "encoder": "fast"}
    before = made_identity(recipe, plan_rows(1))
    assert is_same(before, made_identity(recipe | {"micro_batch": 4}, plan_rows(3)))
    assert is_same(before, made_identity(recipe, plan_rows(0)))  # nothing made that could differ
    for other, rows in (
        (recipe | {"method": "mixup"}, plan_rows(1)),
        (recipe | {"corpus_digest": "b"}, plan_rows(1)),
        (recipe, plan_rows(1, seed=7)),
    ):
        assert not is_same(before, made_identity(other, rows))
    assert not is_same(None, before)
