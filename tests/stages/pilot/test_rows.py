"""The mixtures of a pilot: uniform lambda, every image used alike, whatever ratio and alpha."""

import numpy as np
import pyarrow as pa
import pytest

from scoremix.manifests.plan.schema import PLAN, SOURCES
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.pilot.rows import draw_rows


def sources(count: int, classes: int = 0) -> pa.Table:
    """Training images, without classes or dealt out to them in turn."""
    row = {name: None for name in SOURCES.names} | {"status": "train"}
    rows = [
        row
        | {"index": i, "row": i, "key": f"{i:06d}", "name": f"{i}.png"}
        | ({"class_id": i % classes, "class_name": str(i % classes)} if classes else {})
        for i in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=SOURCES)


def test_lambda_is_uniform_between_a_tenth_and_nine() -> None:
    rows = draw_rows(sources(100), GenerateConfig(), 2000, 0)
    assert rows.schema.equals(PLAN) and rows.num_rows == 2000
    lambdas = rows["lambda"].to_numpy()
    assert lambdas.min() >= 0.1 and lambdas.max() <= 0.9
    counts, _ = np.histogram(lambdas, bins=8, range=(0.1, 0.9))
    assert counts.min() > 190 and counts.max() < 310  # 250 each, four standard deviations


def test_every_image_is_a_base_before_any_is_twice() -> None:
    rows = draw_rows(sources(100), GenerateConfig(), 250, 0)
    bases = np.bincount(rows["row_1"].to_numpy(), minlength=100)
    assert bases.min() >= 2 and bases.max() <= 3
    assert (rows["row_1"].to_numpy() != rows["row_2"].to_numpy()).all()


def test_ratio_and_alpha_change_nothing_and_the_seed_everything() -> None:
    first = draw_rows(sources(40), GenerateConfig(), 60, 0)
    assert draw_rows(sources(40), GenerateConfig(ratio=3, alpha=2.0), 60, 0).equals(first)
    other = draw_rows(sources(40), GenerateConfig(), 60, 1)
    assert not other["lambda"].equals(first["lambda"])


def test_partners_are_of_the_class_as_in_the_corpus() -> None:
    rows = draw_rows(sources(40, classes=4), GenerateConfig(), 80, 0)
    assert (rows["row_1"].to_numpy() % 4 == rows["row_2"].to_numpy() % 4).all()
    mixed = draw_rows(sources(40, classes=4), GenerateConfig(pairing="any"), 80, 0)
    assert (mixed["row_1"].to_numpy() % 4 != mixed["row_2"].to_numpy() % 4).any()


@pytest.mark.parametrize(("images", "count"), [(2, 50), (3, 5000)])
def test_few_images_give_what_they_have(images: int, count: int) -> None:
    assert draw_rows(sources(images), GenerateConfig(), count, 0).num_rows == min(
        count, 999 * images
    )
