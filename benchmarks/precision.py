"""PRECISION: the effect of bfloat16 on a trained network's images: rate, pixels, kernel distance.

    python benchmarks/precision.py runs/photos --features mobilenetv2.pt \
        --out benchmarks/results/precision

Uses the run's own options, with pairs drawn among all training images and lambda uniform in
[.1, .9], so that distances are those of the hardest rows, not of the run's plan.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from limits import machine
from material import plan_rows

from scoremix.models.features.extractors import open_extractor
from scoremix.models.metrics.distances import Reference, compare
from scoremix.models.network.checkpoint import load_net
from scoremix.pipeline.config import load_config
from scoremix.stages.corpus.store import open_corpus
from scoremix.stages.generate.generate import generate
from scoremix.stages.generate.recipe import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a finished run with held-out images")
    parser.add_argument("--features", required=True, help="a TorchScript file")
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--out", default="benchmarks/results/precision")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    corpus = open_corpus(options.run / "corpus")
    side = corpus.images.shape[1]
    config = load_config(options.run / "stages.yaml", []).resolved(side, device.type, 1000).generate
    images, rows = np.asarray(corpus.images), plan_rows(options.rows, len(corpus.images))
    made, seconds = {}, {}
    for precision in ("float32", "bfloat16"):
        net = load_net(options.run / "score-net", device)
        wanted = Recipe.from_config(
            config.model_copy(update={"precision": precision}), net.facts, ""
        )
        begin = time.perf_counter()
        batches = generate(rows, images, wanted, net, device=device)
        made[precision] = np.concatenate([batch.final for batch in batches])
        seconds[precision] = time.perf_counter() - begin
    apart = np.abs(made["float32"].astype(int) - made["bfloat16"].astype(int))
    extract = open_extractor(options.features, None, np.asarray(corpus.reference))
    reference = Reference(extract(np.asarray(corpus.reference)))
    features = {name: extract(some) for name, some in made.items()}
    difference = compare(reference, features["float32"], features["bfloat16"], 0, frechet=False)
    result: dict[str, Any] = {
        "machine": machine(device),
        "side": side,
        "width": net.net.architecture.width,
        "steps": config.steps,
        "levels": config.denoise_steps,
        "t0": config.t0,
        "rows": options.rows,
        "seconds": seconds,
        "ratio": seconds["float32"] / seconds["bfloat16"],
        "equal": float((apart == 0).mean()),
        "within_one": float((apart <= 1).mean()),
        "most": int(apart.max()),
        "kernel_distance": {name: reference.kernel(some) for name, some in features.items()},
        "difference": difference.kd_after - difference.kd_before,
        "interval_95": difference.kd_interval,
    }
    Path(f"{options.out}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
