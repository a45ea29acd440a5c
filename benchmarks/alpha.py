"""ALPHA: which Beta(alpha, alpha) of lambda suits a method?

    python benchmarks/alpha.py --run runs/photos --alphas 0.2,0.5,1,2 --rows 500 \
        --methods "mixup;bridge" --out benchmarks/results/alpha-photos

Makes the same pairs by each method, lambda drawn once for each alpha, with the network of a run,
and compares them with held-out images: kernel distance, with the 95 % interval of the difference
to copies of the nearer parents; recall; the median distance to the nearest training image, as a
share of held-out images'; and the share of near-copies, images that lie nearer to a training image
than half of that. A small alpha makes a corpus that is near to real images because it repeats them.
"""

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from method_table import Bench

from scoremix.manifests.plan.random_streams import image_seed, stream
from scoremix.models.metrics.distances import compare
from scoremix.models.metrics.neighbours import nearest
from scoremix.models.metrics.prdc import prdc
from scoremix.models.network.checkpoint import load_net
from scoremix.stages.corpus.store import open_corpus

METHODS: dict[str, dict[str, Any]] = {
    "mixup": {"method": "mixup"},
    "mixup, contrast kept": {"method": "mixup", "contrast": "kept"},
    "bridge": {"method": "bridge"},
    "bridge, fresh noise": {"method": "bridge", "gamma": 0.4},
    "scoremix": {"method": "scoremix"},
}
NEAR_COPY = 0.5  # of held-out images' median distance to the nearest training image


def main() -> None:
    options = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    corpus = open_corpus(Path(options.run) / "corpus")
    bench = Bench(corpus, options, device)
    net = load_net(Path(options.net or Path(options.run) / "score-net"), device)
    held_out = bench.nearest(bench.reference.vectors)
    rows: list[dict[str, Any]] = []
    for name, changes in METHODS.items():
        if options.methods and name not in options.methods:
            continue
        for alpha in options.alphas:
            lambdas = _draw(alpha, options)
            place = bench.rows.column_names.index("lambda")
            bench.rows = bench.rows.set_column(place, "lambda", pa.array(lambdas))
            images, _ = bench.make(net, changes)
            light = float(np.mean(np.minimum(lambdas, 1.0 - lambdas) < 0.1))
            row = {"method": name, "alpha": alpha, "lambda_below_.1": light}
            rows.append(row | _judge(bench, lambdas, images, held_out))
            print(_row(rows[-1]), flush=True)
            _save(options, bench, rows, held_out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="a run folder, for its corpus and network")
    parser.add_argument("--net", help="another folder of a network")
    parser.add_argument("--alphas", type=lambda text: [float(n) for n in text.split(",")])
    parser.add_argument("--methods", type=lambda text: text.split(";"))
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--features", default="auto")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True)
    parser.set_defaults(alphas=[0.2, 0.5, 1.0, 2.0])
    return parser.parse_args()


def _draw(alpha: float, options: argparse.Namespace) -> Any:
    random = stream(image_seed(options.seed, f"alpha-{alpha:g}"), "lambda")
    return random.beta(alpha, alpha, options.rows)


def _judge(bench: Bench, lambdas: Any, images: Any, held_out: float) -> dict[str, Any]:
    first, second = (
        bench.corpus.images[bench.rows[name].to_numpy()] for name in ("row_1", "row_2")
    )
    copies = bench.extract(np.where((lambdas > 0.5)[:, None, None, None], first, second))
    features = bench.extract(images)
    found = compare(bench.reference, copies, features, seed=bench.options.seed)
    near = np.sqrt(nearest(features, bench.training).squared[:, 0])
    return {
        "kd": found.kd_after,
        "kd_copies": found.kd_before,
        "kd_interval": list(found.kd_interval),
        "recall": prdc(bench.reference.vectors, features).recall,
        "nearest": float(np.median(near)) / held_out,
        "near_copies": float(np.mean(near < NEAR_COPY * held_out)),
    }


def _row(row: dict[str, Any]) -> str:
    low, high = (1000 * value for value in row["kd_interval"])
    return (
        f"| {row['method']} | {row['alpha']:g} | {100 * row['lambda_below_.1']:.0f} % |"
        f" {1000 * row['kd']:.1f} | {low:+.1f} to {high:+.1f} | {row['recall']:.2f} |"
        f" {row['nearest']:.2f} | {100 * row['near_copies']:.0f} % |"
    )


def _save(
    options: argparse.Namespace, bench: Bench, rows: list[dict[str, Any]], held_out: float
) -> None:
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{len(bench.corpus.images)} training images, {len(bench.real)} held out; {options.rows}"
        f" pairs. Kernel distance ({bench.extract.kd}) x 1000, with the 95 % interval of the"
        " difference to copies of the nearer parents. Nearest: median distance to the nearest"
        " training image, of"
        f" held-out images' ({held_out:.3g}); near-copies are below half of that.",
        "",
        "| method | alpha | lambda or 1 - lambda below .1 | kernel distance | less copies' |"
        " recall | nearest | near-copies |",
        "|---|---|---|---|---|---|---|---|",
        *map(_row, rows),
    ]
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    facts = {"machine": platform.processor(), "torch": torch.__version__, "pairs": options.rows}
    facts |= {"features": bench.extract.describe(), "training_images": len(bench.corpus.images)}
    out.with_suffix(".json").write_text(json.dumps(facts | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
