"""SENSITIVITY: which known damage to real images does each feature extractor see?

    python benchmarks/sensitivity.py --source photos.zip --sides 16,32,64 --fraction 0.5 \
        --features random,pixels,mobilenetv2.pt --out benchmarks/results/sensitivity-photos

Damages training images as the stage `evaluate` does before its verdict, and writes by how much each
kind moves them away from held-out images, in standard errors (the half width of the 95 % interval
over 1.96). Below 2 or so a kind is not seen.
"""

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from method_table import add_corpus_arguments, corpus_of

from scoremix.models.features.extractors import open_extractor
from scoremix.models.metrics.distances import Reference
from scoremix.models.metrics.distortions import DISTORTIONS
from scoremix.stages.common.progress import Silent
from scoremix.stages.evaluate.feature_cache import FeatureCache
from scoremix.stages.evaluate.sensitivity import measure_sensitivity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_corpus_arguments(parser)
    parser.add_argument("--sides", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--features", type=lambda text: text.split(","), required=True)
    parser.add_argument("--images", type=int, default=300, help="that are damaged, and held out")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    out = Path(options.out)
    rows: list[dict[str, Any]] = []
    for side in options.sides or [options.resolution]:
        options.resolution = side
        corpus = corpus_of(options, Path(f"{out}.work") / str(side))
        held_out = np.asarray(corpus.reference[: options.images])
        for features in options.features:
            extractor = open_extractor(features, None, held_out)
            found = measure_sensitivity(
                extractor,
                corpus.images,
                corpus.training_rows,
                Reference(extractor(held_out)),
                FeatureCache(None),
                count=options.images,
                seed=options.seed,
                progress=Silent(),
            )
            rows.append({"side": side, "features": extractor.kd} | found.as_json())
            print(_row(rows[-1]), flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    counts = f"{rows[0]['images']} training images, {len(held_out)} held out."
    out.with_suffix(".md").write_text("\n".join([counts, "", *_table(rows)]) + "\n")
    facts = {"machine": platform.processor(), "torch": torch.__version__, "rows": rows}
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


def _table(rows: list[dict[str, Any]]) -> list[str]:
    heads = ["px", "features", *DISTORTIONS]
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *map(_row, rows)]


def _row(row: dict[str, Any]) -> str:
    cells = [str(row["side"]), row["features"]]
    for name in DISTORTIONS:
        found = row["damage"].get(name)
        if found is None:
            cells.append("")
            continue
        low, high = found["interval_95"]
        errors = found["difference"] / ((high - low) / 2 / 1.96)
        cells.append(f"{errors:.1f}{' (not seen)' if name in row['not_seen'] else ''}")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
