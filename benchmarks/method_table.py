"""METHOD TABLE: training length x steps of the method, on one plan, with a control.

    python benchmarks/method_table.py --source digits --resolution 8 --fraction 0.167 \
        --lengths 0,100,200,400,600 --out benchmarks/results/digits

Trains one network through the given lengths (updates; 0 is an untrained control), and at each
generates the same plan rows with every variant. Distances are to held-out images and over rows with
lambda in [.1, .9]; "unmixed" are training images after the same denoising: the error of the network
alone. Prints a Markdown table and writes it beside a JSON of all figures.
"""

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from scoremix.manifests.plan.plan import PlanOptions, build_plan
from scoremix.models.features.extractors import open_extractor
from scoremix.models.method.methods import ScoreMixOptions
from scoremix.models.metrics.distances import Comparison, compare, kernel_distance
from scoremix.models.network.checkpoint import TrainedNet, load_net
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus, open_corpus
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.generate import generate
from scoremix.stages.generate.recipe import Recipe
from scoremix.stages.ingest.ingest import IngestConfig, ingest
from scoremix.stages.train.config import TrainConfig
from scoremix.stages.train.train import train
from scoremix.stages.train.validation import real_norms

PUBLISHED = GenerateConfig(
    method="scoremix", steps=100, lr=0.005, t0=0.25, denoise_steps=25, noise_rule="ancestral"
)
VARIANTS: dict[str, dict[str, Any]] = {
    "published: 100 steps, lr .005, t0 .25": {},
    "stop at the real median: 100 steps, lr .005": {"stop": "real", "denoise": "off"},
    "gentle: 20 steps, lr .001, t0 .05": {"steps": 20, "lr": 0.001, "t0": 0.05},
    "gentle: 20 steps, lr .001, t0 .15": {"steps": 20, "lr": 0.001, "t0": 0.15},
    "gentle: 10 steps, lr .002, t0 .05": {"steps": 10, "lr": 0.002, "t0": 0.05},
    "gentle: 10 steps, lr .002, t0 .15": {"steps": 10, "lr": 0.002, "t0": 0.15},
    "gentle: 10 steps, lr .002, t0 .25": {"steps": 10, "lr": 0.002},
    "gentle: 10 steps, lr .002, t0 .35": {"steps": 10, "lr": 0.002, "t0": 0.35},
    "denoising alone, t0 .05": {"steps": 0, "t0": 0.05},
    "denoising alone, t0 .15": {"steps": 0, "t0": 0.15},
    "denoising alone, t0 .25": {"steps": 0},
    "denoising alone, t0 .35": {"steps": 0, "t0": 0.35},
    "probability flow alone, t0 .25": {"steps": 0, "denoise": "ode"},
    "bridge, t0 .35": {"method": "bridge", "t0": 0.35, "keep": "noise"},
    "bridge, t0 .5": {"method": "bridge", "t0": 0.5, "keep": "noise"},
}


def main() -> None:
    options = _arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    out = Path(options.out)
    work = Path(options.work or f"{options.out}.work")
    if options.run:
        corpus = open_corpus(Path(options.run) / "corpus")
    else:
        corpus = _corpus(options, work / "corpus")
    extract = open_extractor(options.features, None, corpus.reference)
    plan = build_plan(
        corpus.sources,
        PlanOptions(10, 0.2, "auto", "self", "scoremix", 1000),
        options.seed,
    )
    folded = np.minimum(plan["lambda"].to_numpy(), 1 - plan["lambda"].to_numpy())
    heavy = plan.filter(pc.and_(pc.equal(plan["kind"], "augmented"), folded >= 0.1))
    rows = heavy.slice(0, options.rows)
    real = extract(np.asarray(corpus.reference))
    floor = kernel_distance(extract(np.asarray(corpus.images)), real)
    kept = out.with_suffix(".json")
    records = json.loads(kept.read_text())["lengths"] if options.append else []
    for length in options.lengths or [None]:
        begin = time.monotonic()
        if length is None:
            net = load_net(Path(options.run) / "score-net", torch.device(device))
        else:
            net = _trained(options, corpus, work / "score-net", length, device)
        spent = time.monotonic() - begin
        judged = {
            name: _judge(changes, rows, corpus, net, extract, real, options, device)
            for name, changes in VARIANTS.items()
            if options.variants is None or any(word in name for word in options.variants)
        }
        norms = real_norms(net.net, net.sigma_1, corpus.reference[:256], torch.device(device))
        records.append(
            {
                "updates": net.facts["training"]["steps"],
                "images": net.facts["training"]["images"],
                "train_seconds": spent,
                "held_out_loss": net.facts["training"]["loss_per_band"].get("held_out"),
                "norm_real": float(np.median(norms)),
                "variants": judged,
            }
        )
        print(_markdown(records[-1:], floor, extract.kd, extract.fd), flush=True)
        facts = net.facts["architecture"]
        _save(out, records, floor, extract, rows.num_rows, options, facts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="a run folder: judge its network, train nothing")
    parser.add_argument("--source", default="digits")
    parser.add_argument("--path")
    parser.add_argument("--resolution", type=int, default=8)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--per-class", type=int)
    parser.add_argument("--fraction", type=float)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--levels", default="focus")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--lengths", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--checkpoint-every", type=int, default=100)
    parser.add_argument("--micro-batch", type=int, default=150)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--features", default="auto")
    parser.add_argument("--variants", type=lambda text: text.split(";"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work")
    parser.add_argument("--append", action="store_true", help="to the lengths that --out has")
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def _corpus(options: argparse.Namespace, folder: Path) -> Corpus:
    config = IngestConfig(
        source=options.source,
        path=options.path,
        resolution=options.resolution,
        limit=options.limit,
        per_class=options.per_class,
        fraction=options.fraction,
    )
    return ingest(config, folder, seed=options.seed, progress=Silent())


def _trained(
    options: argparse.Namespace, corpus: Corpus, out: Path, length: int, device: str
) -> TrainedNet:
    """Continues from the previous length: options that differ in `steps` alone are one training."""
    config = TrainConfig(
        preset="tiny",
        steps=length,
        width=options.width,
        batch=options.batch,
        lr=options.lr,
        levels=options.levels,
        precision=options.precision,
        checkpoint_every=options.checkpoint_every,
    ).resolved(options.resolution, device)
    train(config, corpus, out, seed=options.seed, t0=0.35, device=device, progress=Silent())
    return load_net(out, torch.device(device))


def _judge(
    changes: dict[str, Any],
    rows: Any,
    corpus: Corpus,
    net: TrainedNet,
    extract: Any,
    real: Any,
    options: argparse.Namespace,
    device: str,
) -> dict[str, Any]:
    given = {"batch": options.micro_batch, "precision": options.precision}
    config = PUBLISHED.model_copy(update=given | changes)
    recipe = Recipe.from_config(config, net.facts, corpus.digest)
    begin = time.monotonic()
    batches = list(generate(rows, corpus.images, recipe, net, device=torch.device(device)))
    seconds = time.monotonic() - begin
    mixup, minimised, final = (
        extract(np.concatenate([getattr(batch, step) for batch in batches]))
        for step in ("mixup", "minimised", "final")
    )
    norms = np.concatenate([batch.norms for batch in batches if batch.norms is not None])
    return {
        "minimised": _compared(compare(real, mixup, minimised, seed=options.seed)),
        "final": _compared(compare(real, mixup, final, seed=options.seed)),
        "kd_real_through": _real_through(rows, recipe, corpus, net, extract, real, device),
        "norm_medians": np.median(norms, axis=0).tolist(),
        "images_per_second": rows.num_rows / seconds,
    }


def _real_through(
    rows: Any,
    recipe: Recipe,
    corpus: Corpus,
    net: TrainedNet,
    extract: Any,
    real: Any,
    device: str,
) -> float | None:
    """Kernel distance of unmixed images after the same denoising: the error of the network."""
    if isinstance(recipe.options, ScoreMixOptions) and recipe.options.steps:
        return None
    place = rows.column_names.index("lambda")
    unmixed = rows.set_column(place, "lambda", pa.array(np.ones(rows.num_rows)))
    batches = generate(unmixed, corpus.images, recipe, net, device=torch.device(device))
    passed = extract(np.concatenate([batch.final for batch in batches]))
    return float(kernel_distance(passed, real))


def _compared(found: Comparison) -> dict[str, Any]:
    return {
        "kd_mixup": found.kd_before,
        "kd": found.kd_after,
        "kd_interval": list(found.kd_interval),
        "fd_mixup": found.fd_before,
        "fd": found.fd_after,
        "fd_interval": None if found.fd_interval is None else list(found.fd_interval),
    }


def _markdown(records: list[dict[str, Any]], floor: float, kd: str, fd: str) -> str:
    lines = [
        f"Kernel distances ({kd}) are x 1000; brackets hold 95 % intervals of the difference to"
        f" mixup. Real training images are at {1000 * floor:.2f}.",
        "",
        f"| updates (images) | variant | minimised | final | {fd}, final | unmixed, denoised |"
        " norm: minimised, final |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in records:
        first = next(iter(record["variants"].values()))["final"]
        size = f"{record['updates']:,} ({record['images']:,})"
        lines.append(
            f"| {size} | **mixup** | {1000 * first['kd_mixup']:.2f} | | {first['fd_mixup']:.3f} |"
            f" | real: {record['norm_real']:.3f} |"
        )
        for name, found in record["variants"].items():
            through = found["kd_real_through"]
            norms = found["norm_medians"]
            lines.append(
                f"| {size} | {name} | {_cell(found['minimised'], 'kd', 1000)} |"
                f" {_cell(found['final'], 'kd', 1000)} | {_cell(found['final'], 'fd', 1)} |"
                f" {'' if through is None else f'{1000 * through:.2f}'} |"
                f" {norms[1]:.3f}, {norms[2]:.3f} |"
            )
    return "\n".join(lines)


def _cell(found: dict[str, Any], name: str, unit: float) -> str:
    digits = 2 if unit > 1 else 3
    text = f"{unit * found[name]:.{digits}f}"
    if found[f"{name}_interval"] is not None:
        low, high = (unit * value for value in found[f"{name}_interval"])
        text += f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    return text


def _save(
    out: Path,
    records: list[dict[str, Any]],
    floor: float,
    extract: Any,
    rows: int,
    options: argparse.Namespace,
    architecture: dict[str, Any],
) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "source": Path(options.run or options.source).name,
        "rows": rows,
        "features": extract.describe(),
        "kd_floor": floor,
        "architecture": architecture,
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "lengths": records,
    }
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    out.with_suffix(".md").write_text(_markdown(records, floor, extract.kd, extract.fd) + "\n")


if __name__ == "__main__":
    main()
