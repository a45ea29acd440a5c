"""The noise ladder against its formula and the published table."""

import math

import numpy as np
import pytest

from scoremix.models.method.ladder import noise_ladder, rungs, sigma_at


def test_levels_fall_by_gamma_and_end_exactly_at_sigma_N() -> None:
    levels = noise_ladder(4.78)
    assert levels[0] == 4.78
    assert levels[-1] == 0.01
    assert np.allclose(levels[1:-1] / levels[:-2], 0.99)
    assert 0.01 / levels[-2] >= 0.99 - 1e-12  # the last step is the only shorter one
    assert len(levels) == 1 + math.ceil(math.log(478) / -math.log(0.99))


@pytest.mark.parametrize(
    ("side", "channels", "low", "high"),
    [
        (8, 1, 600, 640),
        (32, 3, 815, 855),
        (64, 3, 880, 925),
        (128, 3, 950, 995),
        (256, 3, 1010, 1065),
    ],
)
def test_level_counts_of_the_table(side: int, channels: int, low: int, high: int) -> None:
    # The farthest pair of a natural image set lies near 0.6-0.9 of the cube's half diagonal.
    diagonal = math.sqrt(channels) * side
    counts = [len(noise_ladder(share * diagonal)) for share in (0.5, 0.75)]
    assert counts[0] <= high and counts[1] >= low


def test_sigma_of_t_joins_both_ends() -> None:
    assert sigma_at(0.0, 5.0) == 0.01
    assert sigma_at(1.0, 5.0) == pytest.approx(5.0)
    assert sigma_at(0.25, 4.78) == pytest.approx(0.0468, abs=1e-4)  # the method's figure for digits
    assert 0.08 <= sigma_at(0.25, 41.0) <= 0.14 and 0.08 <= sigma_at(0.25, 330.0) <= 0.14


def test_rungs_have_exact_ends_and_even_logarithms() -> None:
    levels = rungs(0.3, 0.01, 25)
    assert (levels[0], levels[-1], len(levels)) == (0.3, 0.01, 25)
    assert np.allclose(np.diff(np.log(levels)), np.log(0.01 / 0.3) / 24)


def test_identical_images_have_no_ladder() -> None:
    with pytest.raises(ValueError, match="nothing to learn"):
        noise_ladder(0.0)
