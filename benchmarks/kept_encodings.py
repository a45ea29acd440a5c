"""KEPT ENCODINGS: images a second by `bridge` with and without keeping those of training images.

    python benchmarks/kept_encodings.py --sides 8,32 --out benchmarks/results/kept-encodings

Both make the same rows by the same untrained network, a round in turn, and the images are compared.
Without, both parents of every mixture are encoded anew.
"""

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from material import plan_rows, smooth_images
from numpy.typing import NDArray

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import TrainedNet, build
from scoremix.models.network.device import device_type
from scoremix.stages.common.presets import balanced_batch, choose_preset
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.encodings import Encode, Encodings, Parent
from scoremix.stages.generate.generate import generate
from scoremix.stages.generate.means import mean_images
from scoremix.stages.generate.recipe import Recipe

FACTS: dict[str, Any] = {"weights_sha256": "", "ladder": {"sigma_1": 30.0, "sigma_N": 0.01}}


class _Anew(Encodings):
    """Keeps nothing: parents 1 and parents 2 of each micro-batch are encoded."""

    def get(
        self, recipe: Recipe, wanted: list[Parent], coming: Iterable[Parent], encode: Encode
    ) -> torch.Tensor:
        half = len(wanted) // 2
        return torch.cat([encode(wanted[:half]), encode(wanted[half:])]).cpu()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", default="8,32")
    parser.add_argument("--ratios", default="1,3,10")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = [
        _compare(int(side), int(ratio), options, device)
        for side in options.sides.split(",")
        for ratio in options.ratios.split(",")
    ]
    if options.out:
        _save(options.out, rows, options)


def _compare(
    side: int, ratio: int, options: argparse.Namespace, device: torch.device
) -> dict[str, Any]:
    kind = device_type(device.type)
    _, network, row = choose_preset("tiny", side, device.type)
    shape = Architecture(3, side, row.width, network=network, block=row.block)
    net = TrainedNet(build(shape, noise_ladder(30.0), seed=0).to(device), 30.0, 0.01, FACTS)
    images = smooth_images(options.images, side, 3)
    means = mean_images(images, np.arange(len(images)), np.full(len(images), -1), 0)
    config = GenerateConfig(method="bridge").resolved("tiny", side, row.width, kind, network)
    assert isinstance(config.batch, int)
    size = balanced_batch(config.batch, 1000, len(images))
    config = config.model_copy(update={"batch": size})
    recipe = Recipe.from_config(config, FACTS, "", means.sha256)
    plan = plan_rows(len(images) * ratio, len(images))

    def make(encodings: Encodings) -> tuple[NDArray[np.uint8], float]:
        begin = time.perf_counter()
        made = generate(plan, images, recipe, net, means=means, encodings=encodings, device=device)
        final = np.concatenate([batch.final for batch in made])
        return final, len(final) / (time.perf_counter() - begin)

    rates: dict[str, list[float]] = {"none kept": [], "kept": []}
    for _ in range(options.rounds):
        without, rate = make(_Anew())
        rates["none kept"].append(rate)
        kept, rate = make(Encodings())
        rates["kept"].append(rate)
        assert np.array_equal(without, kept)
    ratios = np.divide(rates["kept"], rates["none kept"])
    before, after = (float(np.median(rates[name])) for name in ("none kept", "kept"))
    print(
        f"{side} px, ratio {ratio}: {before:.1f}/s, kept {after:.1f}/s,"
        f" {np.median(ratios):.2f} times ({ratios.min():.2f} to {ratios.max():.2f})",
        flush=True,
    )
    return {"side": side, "ratio": ratio, "rates": rates, "times": ratios.tolist()}


def _save(out: Path, rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    lines = [
        f"Preset `tiny`, `bridge` over ten levels, {options.images} training images in colour,"
        f" {torch.get_num_threads()} threads, torch {torch.__version__}. Images a second; times:"
        f" medians of {options.rounds} pairs. All images are equal.",
        "",
        "| side | ratio | none kept | kept | times |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        before, after = (float(np.median(each)) for each in row["rates"].values())
        times = row["times"]
        lines.append(
            f"| {row['side']} px | {row['ratio']} | {before:.1f} | {after:.1f}"
            f" | {np.median(times):.2f} ({min(times):.2f} to {max(times):.2f}) |"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    facts = {"images": options.images, "threads": torch.get_num_threads(), "rows": rows}
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
