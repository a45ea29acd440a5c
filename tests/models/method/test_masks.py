"""Masks of CutMix and FMix: exact areas, shapes, and places."""

import numpy as np
import pytest

from scoremix.manifests.plan.plan import whole_pixels
from scoremix.models.method.masks import box_mask, fourier_mask

DRAWN = np.array([0.0, 0.004, 0.2, 0.5, 0.73, 0.99, 1.0])


@pytest.mark.parametrize("side", [8, 9, 32, 96])
@pytest.mark.parametrize(("method", "draw"), [("cutmix", box_mask), ("fmix", fourier_mask)])
def test_the_area_is_exactly_what_lambda_says(method: str, draw, side: int) -> None:  # type: ignore[no-untyped-def]
    planned = whole_pixels(method, DRAWN, side)
    assert np.abs(planned - DRAWN).max() <= (1.5 / side if method == "cutmix" else 0.51 / side**2)
    for seed, lambda_ in enumerate(planned.tolist()):
        mask = draw(lambda_, side, np.random.default_rng(seed))
        assert mask.shape == (side, side)
        assert mask.sum() == pytest.approx(lambda_ * side**2, abs=1e-9)
    assert np.allclose(whole_pixels(method, planned, side), planned, atol=1e-12), (
        "a second time changes nothing"
    )


def test_a_box_is_a_square_anywhere_in_the_image() -> None:
    random, left_out = np.random.default_rng(0), np.zeros((8, 8))
    for _ in range(600):
        mask = box_mask(1 - 9 / 64, 8, random)
        rows, columns = np.nonzero(~mask)
        assert len(rows) == 9 and np.ptp(rows) == np.ptp(columns) == 2
        left_out += ~mask
    assert left_out[0, 0] == pytest.approx(600 / 36, rel=0.8)  # one place of 36 reaches the corner
    assert left_out.min() > 0 and left_out[3:5, 3:5].min() > 3 * left_out[0, 0]


def test_a_fourier_mask_is_smooth_and_differs_by_stream() -> None:
    def borders(mask: np.ndarray) -> float:  # type: ignore[type-arg]
        return float((mask[1:] != mask[:-1]).mean())

    masks = [fourier_mask(0.5, 32, np.random.default_rng(seed)) for seed in range(40)]
    # Pixels of white noise differ from their neighbours half of the time.
    assert np.mean([borders(mask) for mask in masks]) < 0.15
    assert not np.array_equal(masks[0], masks[1])
    assert 0.35 < np.mean(masks, axis=0).mean() < 0.65
