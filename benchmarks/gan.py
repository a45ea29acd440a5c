"""GAN: images a second by which the trial's GAN learns, against the plain way to write it.

    python benchmarks/gan.py --sides 8,32 --out benchmarks/results/gan

Plain: up-sampling and convolution one after the other, images of G drawn anew for each of the two
updates, real and generated ones scored apart. One thread, as each GAN of a trial has; a number of
updates of both in turn, the median of the pairs' ratios.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from limits import machine
from material import smooth_images
from torch import Tensor, nn
from torch.nn.functional import interpolate

from scoremix.models.gan.changes import CHANGES
from scoremix.models.gan.networks import DoublingConv, GanShape
from scoremix.stages.common.tensors import to_unit
from scoremix.stages.trial.config import TrialConfig
from scoremix.stages.trial.gan_run import GanOptions, GanRun

_WARM = 3  # updates before anything is measured


class _TwoSteps(nn.Module):
    """What DoublingConv equals."""

    def __init__(self, conv: DoublingConv) -> None:
        super().__init__()
        self.weight = conv.weight

    def forward(self, x: Tensor) -> Tensor:
        return torch.conv2d(interpolate(x, scale_factor=2.0), self.weight, padding=1)


class _PlainRun(GanRun):
    """The same networks, losses and numbers of images."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        body = self.generator.body
        for place, layer in enumerate(body):
            if isinstance(layer, DoublingConv):
                body[place] = _TwoSteps(layer)

    def update(self) -> None:
        random = torch.Generator(self.device).manual_seed(self.step)
        rows = torch.randint(len(self.images), (self.options.batch,), generator=random).numpy()
        real = 2.0 * to_unit(self.images[rows], self.device) - 1.0
        with torch.no_grad():
            fake = self._fake(random, None)
        on_real, on_fake = (self._scores(x, None, random) for x in (real, fake))
        self._descend("d", (1.0 - on_real).relu().mean() + (1.0 + on_fake).relu().mean())
        self.discriminator.requires_grad_(False)
        self._descend("g", -self._scores(self._fake(random, None), None, random).mean())
        self.discriminator.requires_grad_(True)
        self.averaged.update(self.generator, self.step + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", default="8,32")
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [_compare(int(side), options) for side in options.sides.split(",")]
    if options.out:
        _save(options.out, rows, options)


def _compare(side: int, options: argparse.Namespace) -> dict[str, Any]:
    config, channels = TrialConfig(), 1 if side == 8 else 3
    images = smooth_images(500, side, channels)
    shape = GanShape(channels, side, config.width)
    how = GanOptions(
        images=config.images, snapshot_every=config.snapshot_every, batch=config.batch,
        lr=config.lr, ema=config.ema, augment=CHANGES, flip=False,
    )  # fmt: skip
    runs = {
        "plain": _PlainRun(images, None, shape, how, 0, torch.device("cpu")),
        "ours": GanRun(images, None, shape, how, 0, torch.device("cpu")),
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        _advance(run, _WARM)
    for _ in range(options.rounds):
        for name, run in runs.items():
            seconds = _advance(run, options.updates)
            rates[name].append(options.updates * how.batch / seconds)
    ratios = np.divide(rates["ours"], rates["plain"])
    print(f"{side} px: {rates}, {np.median(ratios):.2f} times", flush=True)
    return {"side": side, "channels": channels, "rates": rates, "times": ratios.tolist()}


def _advance(run: GanRun, updates: int) -> float:
    begin = time.perf_counter()
    for _ in range(updates):
        run.update()
        run.step += 1
    return time.perf_counter() - begin


def _save(out: Path, rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    lines = [
        f"One thread, batches of {TrialConfig().batch}, width {TrialConfig().width}, DiffAugment,"
        f" torch {torch.__version__}. Images shown a second; times: medians of {options.rounds}"
        f" pairs of {options.updates} updates.",
        "",
        "| side | plain | ours | times |",
        "|---|---|---|---|",
    ]
    for row in rows:
        before, after = (float(np.median(each)) for each in row["rates"].values())
        times = row["times"]
        lines.append(
            f"| {row['side']} px | {before:,.0f} | {after:,.0f}"
            f" | {np.median(times):.2f} ({min(times):.2f} to {max(times):.2f}) |"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    facts = {"machine": machine(torch.device("cpu")), "threads": 1, "rows": rows}
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
