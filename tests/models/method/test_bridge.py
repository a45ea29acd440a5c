"""Bridge against the closed form of Gaussian data, and through a build."""

import json
from pathlib import Path

import pytest
import tiny
import torch
from in_process import cli

from scoremix.manifests.files.atomic import read_parquet
from scoremix.models.method.bridge import bridge, flow
from scoremix.models.method.options import Keep

SPREAD, SIGMA, SIGMA_N = 0.3, 0.8, 0.01


def residual(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """sigma S of N(0.5, SPREAD^2), each pixel apart."""
    return -sigma * (x - 0.5) / (SPREAD**2 + sigma**2)


def stretch(sigma: float) -> float:
    """By how much the flow from SIGMA_N up to sigma widens that distribution."""
    return float(((SPREAD**2 + sigma**2) / (SPREAD**2 + SIGMA_N**2)) ** 0.5)


def images(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(count, 3, 4, 4, generator=generator, dtype=torch.float64)
    return 0.5 + SPREAD * noise


def test_the_flow_is_the_closed_form_and_of_second_order() -> None:
    x = images(2)
    wanted = 0.5 + stretch(SIGMA) * (x - 0.5)
    errors = [
        float((flow(x, residual, SIGMA_N, SIGMA, levels) - wanted).abs().max())
        for levels in (26, 51, 101)
    ]
    assert errors[-1] < 2e-3
    for coarse, fine in zip(errors, errors[1:], strict=False):
        assert 3.2 < coarse / fine < 4.8  # half the step, a quarter of the error


def test_it_ends_at_a_parent_where_lambda_does() -> None:
    x1, x2 = images(3), images(3).flip(0)
    for lambda_, parent in ((1.0, x1), (0.0, x2)):
        weights = torch.full((3,), lambda_, dtype=torch.float64)
        made = bridge(x1, x2, weights, residual, SIGMA, SIGMA_N, 101)
        assert (made - parent).abs().max() < 1e-3


def test_between_the_parents_it_is_the_closed_form() -> None:
    x1, x2 = images(3), images(3).flip(0)
    lambda_ = torch.tensor([0.3, 0.5, 0.9], dtype=torch.float64)
    made = bridge(x1, x2, lambda_, residual, SIGMA, SIGMA_N, 201)
    weight = lambda_.reshape(-1, 1, 1, 1)
    mean = weight * x1 + (1 - weight) * x2 - 0.5
    # Noises are (stretch - 1) times what their images differ from the mean by.
    noise = (stretch(SIGMA) - 1) * mean / (weight**2 + (1 - weight) ** 2).sqrt()
    assert torch.allclose(made, 0.5 + (mean + noise) / stretch(SIGMA), atol=2e-3)


def widths(lambda_: float) -> dict[str, float]:
    """Standard deviation of a mixture over that of the data, by what is kept; closed forms."""
    kept, s = (lambda_**2 + (1 - lambda_) ** 2) ** 0.5, stretch(SIGMA)
    return {"none": kept, "noise": (kept + s - 1) / s, "both": 1.0}


@pytest.mark.parametrize("lambda_", [0.5, 0.3, 0.05, 1.0])
@pytest.mark.parametrize("keep", ["none", "noise", "both"])
def test_what_is_kept_is_the_closed_form(keep: Keep, lambda_: float) -> None:
    """The mixture's deviation from the mean is that of x', scaled: exactly, not on average."""
    x1, x2 = images(3), images(3).flip(0)
    lambdas, mean = torch.full((3,), lambda_, dtype=torch.float64), torch.full_like(x1, 0.5)
    made = bridge(x1, x2, lambdas, residual, SIGMA, SIGMA_N, 201, keep=keep, mean=mean)
    plain = lambda_ * (x1 - 0.5) + (1 - lambda_) * (x2 - 0.5)
    kept = (lambda_**2 + (1 - lambda_) ** 2) ** 0.5
    assert torch.allclose(made, 0.5 + widths(lambda_)[keep] / kept * plain, atol=2e-3)


@pytest.mark.parametrize("lambda_", [0.5, 0.2])
def test_both_has_exactly_the_variance_of_the_data(lambda_: float) -> None:
    x1, x2 = images(800).split(400)
    lambdas, mean = torch.full((400,), lambda_, dtype=torch.float64), torch.full_like(x1, 0.5)
    for keep, width in widths(lambda_).items():
        made = bridge(x1, x2, lambdas, residual, SIGMA, SIGMA_N, 51, keep=keep, mean=mean)
        # 19,200 values: a deviation is known to 0.5 %.
        assert float(made.std()) == pytest.approx(width * SPREAD, rel=0.03), keep
        assert float(made.mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("gamma", [0.4, 1.0])
def test_fresh_noise_keeps_the_variance_of_the_noise(gamma: float) -> None:
    """sqrt(1 - gamma^2) n + gamma sigma z, decoded: a variance in closed form."""
    x1, x2 = images(800).split(400)
    lambdas, mean = torch.full((400,), 0.3, dtype=torch.float64), torch.full_like(x1, 0.5)
    z = torch.randn(x1.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    made = bridge(
        x1, x2, lambdas, residual, SIGMA, SIGMA_N, 101,
        keep="both", gamma=gamma, mean=mean, noise=lambda: z,
    )  # fmt: skip
    s = stretch(SIGMA)
    known = (1 + (1 - gamma**2) ** 0.5 * (s - 1)) / s
    mixture = (0.3 * (x1 - 0.5) + 0.7 * (x2 - 0.5)) / 0.58**0.5
    assert torch.allclose(made, 0.5 + known * mixture + gamma * SIGMA / s * z, atol=2e-3)


def test_there_and_back_returns_the_image() -> None:
    x = images(3)
    back = flow(flow(x, residual, SIGMA_N, SIGMA, 51), residual, SIGMA, SIGMA_N, 51)
    assert (back - x).abs().max() < 1e-3


@pytest.mark.parametrize("keep", ["none", "noise", "both"])
def test_each_image_is_made_alone(keep: Keep) -> None:
    x1, x2 = images(3), images(3).flip(0)
    lambda_, mean = torch.tensor([0.3, 0.5, 0.9], dtype=torch.float64), images(4)[1:]
    together, alone = (
        bridge(
            x1[part], x2[part], lambda_[part], residual, SIGMA, SIGMA_N, 9,
            keep=keep, mean=mean[part],
        )
        for part in (slice(0, 3), slice(1, 2))
    )  # fmt: skip
    # Vector instructions and their remainders may round differently.
    assert torch.allclose(together[1:2], alone, rtol=0, atol=1e-12)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bridge")
    tiny.make_images(root / "images")
    words = ["augment", "--data", root / "images", "--out", root / "shards", "--quiet"]
    words += [*tiny.options(), "--set", "generate.method=bridge"]
    assert cli(*words) == 0
    return root


def test_a_corpus_by_bridge_says_so(root: Path) -> None:
    shards = root / "shards"
    manifest = read_parquet(next(shards.glob("aug-*.parquet"))).to_pylist()
    assert {row["method"] for row in manifest} == {"bridge"}
    assert all(row["norm_mixup"] == row["norm_minimised"] for row in manifest)
    assert "bridge" in (shards / "README.md").read_text()


def test_the_verdict_speaks_of_one_step(root: Path) -> None:
    report = root / "shards.run" / "report"
    text = (report / "verdict.txt").read_text()
    assert "minimis" not in text
    assert json.loads((report / "metrics.json").read_bytes())["method"] == "bridge"
