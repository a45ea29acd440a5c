"""Strips of the same pairs at five weights."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from blob_corpus import Corpus, make_plan, real_looking, same
from PIL import Image

from scoremix.manifests.errors import Interrupted, ScoreMixError
from scoremix.stages.common.progress import Silent
from scoremix.stages.evaluate.lambda_strips import (
    LAMBDAS,
    choose_pairs,
    draw_lambda_strips,
    strips_png,
)


def made(rounds: int = 4, method: str = "scoremix") -> pa.Table:
    return make_plan(150, rounds, method).slice(150)


def draw(corpus: Corpus, path: Path, method: str = "scoremix") -> None:
    rows = made(method=method)
    order = np.arange(rows.num_rows)
    draw_lambda_strips(rows, order, corpus.execute, path, method, Silent())


def test_four_pairs_of_different_images_at_every_weight() -> None:
    rows = made()
    chosen = choose_pairs(rows, np.random.default_rng(0).permutation(rows.num_rows))
    assert chosen.schema.equals(rows.schema) and chosen.num_rows == 4 * len(LAMBDAS)
    assert chosen["lambda"].to_pylist() == [0, 0.25, 0.5, 0.75, 1] * 4
    parents = {row for name in ("row_1", "row_2") for row in chosen[name].to_pylist()}
    assert len(parents) == 8
    for start in range(0, 20, 5):
        assert len(set(chosen["seed"].slice(start, 5).to_pylist())) == 1  # the same noise


def test_the_ends_of_mixup_are_the_parents(tmp_path: Path) -> None:
    corpus = Corpus(same, method="mixup")
    chosen = choose_pairs(made(method="mixup"), np.arange(600))
    images = corpus.mixup(chosen)
    row = chosen.slice(0, 1).to_pylist()[0]
    np.testing.assert_array_equal(images[0], corpus.images[row["row_2"]])
    np.testing.assert_array_equal(images[4], corpus.images[row["row_1"]])


def test_mixup_above_and_the_method_below(tmp_path: Path) -> None:
    both, one = tmp_path / "both.png", tmp_path / "one.png"
    draw(Corpus(real_looking), both)
    draw(Corpus(same, method="mixup"), one, "mixup")
    assert Image.open(both).width == Image.open(one).width
    assert Image.open(both).height > 1.5 * Image.open(one).height


@pytest.mark.parametrize("side", [8, 32, 128, 300])
def test_strips_are_never_wider_than_a_page_needs(side: int) -> None:
    import io

    images = np.zeros((20, side, side, 3), np.uint8)
    sheet = Image.open(io.BytesIO(strips_png({"mixup": images, "bridge": images})))
    assert 800 < sheet.width < 2200


def test_methods_of_one_parent_have_none_and_an_old_file_goes(tmp_path: Path) -> None:
    path = tmp_path / "strips.png"
    path.write_bytes(b"of an earlier method")
    draw(Corpus(same), path, "renoise")
    assert not path.exists()


def test_a_method_that_fails_at_such_a_weight_stops_no_evaluation(tmp_path: Path) -> None:
    rows, path = made(), tmp_path / "strips.png"

    def fails(error: Exception) -> None:
        def execute(rows: pa.Table) -> None:
            raise error

        draw_lambda_strips(rows, np.arange(600), execute, path, "scoremix", Silent())  # type: ignore[arg-type]

    fails(ScoreMixError("blank"))
    assert not path.exists()
    with pytest.raises(Interrupted):
        fails(Interrupted("stopped"))
