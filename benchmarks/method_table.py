"""METHOD TABLE: training length x steps of the method, on one plan, with a control.

    python benchmarks/method_table.py --source digits --resolution 8 --fraction 0.167 \
        --lengths 0,100,200,400,600 --out benchmarks/results/digits

Trains one network through the given lengths (updates; 0 is an untrained control), and at each
makes the same plan rows with every variant. Distances are to held-out images and over rows with
lambda in [.1, .9]; "real" rows are unmixed training images through the same denoising: what the
network costs. Prints a Markdown table and writes it beside a JSON of all figures.
"""

import argparse
import json
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch

from scoremix.manifests.plan import PlanOptions, build_plan
from scoremix.models.checkpoint import TrainedNet, load_net
from scoremix.models.distances import compare, kernel_distance
from scoremix.models.features import open_extractor
from scoremix.models.methods import ScoreMixOptions
from scoremix.stages.corpus import Corpus
from scoremix.stages.generate import generate
from scoremix.stages.ingest import IngestConfig, ingest
from scoremix.stages.progress import Silent
from scoremix.stages.train import TrainConfig, real_norms, train

PUBLISHED = ScoreMixOptions()
VARIANTS: dict[str, ScoreMixOptions] = {
    "published: 100 steps, lr .005, t0 .25": PUBLISHED,
    "published minimisation alone": replace(PUBLISHED, denoise="off"),
    "gentle minimisation alone: 20 steps, lr .001": replace(
        PUBLISHED, steps=20, lr=0.001, denoise="off"
    ),
    "denoising alone, t0 .15": replace(PUBLISHED, steps=0, t0=0.15),
    "denoising alone, t0 .25": replace(PUBLISHED, steps=0),
    "denoising alone, t0 .35": replace(PUBLISHED, steps=0, t0=0.35),
    "gentle + denoising, t0 .15": replace(PUBLISHED, steps=10, lr=0.002, t0=0.15),
    "gentle + denoising, t0 .25": replace(PUBLISHED, steps=10, lr=0.002),
    "gentle + denoising, t0 .35": replace(PUBLISHED, steps=10, lr=0.002, t0=0.35),
    "probability flow alone, t0 .25": replace(PUBLISHED, steps=0, denoise="ode"),
    "stop at the real median, lr .005": replace(PUBLISHED, denoise="off"),
}


def main() -> None:
    options = _arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    out = Path(options.out)
    work = Path(options.work or f"{options.out}.work")
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
    records: list[dict[str, Any]] = []
    for length in options.lengths:
        begin = time.monotonic()
        net = _trained(options, corpus, work / "score-net", length, device)
        spent = time.monotonic() - begin
        judged = {
            name: _judge(variant, name, rows, corpus, net, extract, real, options, device)
            for name, variant in VARIANTS.items()
            if options.variants is None or any(word in name for word in options.variants)
        }
        norms = real_norms(net.net, net.sigma_1, corpus.reference[:256], torch.device(device))
        records.append(
            {
                "updates": length,
                "images": length * options.batch,
                "train_seconds": spent,
                "held_out_loss": net.facts["training"]["loss_per_band"].get("held_out"),
                "norm_real": float(np.median(norms)),
                "variants": judged,
            }
        )
        print(_markdown(records[-1:], floor, extract.kd, extract.fd), flush=True)
        _save(out, records, floor, extract, rows.num_rows, options, device)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
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
    parser.add_argument("--micro-batch", type=int, default=150)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--features", default="auto")
    parser.add_argument("--variants", type=lambda text: text.split(";"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work")
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
    """Goes on from the length before: equal options but for `steps` are one training."""
    config = TrainConfig(
        preset="tiny",
        steps=length,
        width=options.width,
        batch=options.batch,
        lr=options.lr,
        levels=options.levels,
        precision=options.precision,
        checkpoint_every=max(1, min(length, 500)) if length else 500,
    ).resolved(options.resolution, device)
    config = config.model_copy(update={"checkpoint_every": 100})
    train(config, corpus, out, seed=options.seed, t0=0.35, device=device, progress=Silent())
    return load_net(out, torch.device(device))


def _judge(
    variant: ScoreMixOptions,
    name: str,
    rows: Any,
    corpus: Corpus,
    net: TrainedNet,
    extract: Any,
    real: Any,
    options: argparse.Namespace,
    device: str,
) -> dict[str, Any]:
    median = net.facts["norm_real"]["median"]
    recipe = {
        "micro_batch": options.micro_batch,
        "precision": options.precision,
        "steps": variant.steps,
        "lr": variant.lr,
        "stop_norm": median if name.startswith("stop") else None,
        "score_noise": "none",
        "t0": variant.t0,
        "denoise": variant.denoise,
        "denoise_steps": variant.denoise_steps,
        "noise_rule": variant.noise_rule,
    }
    begin = time.monotonic()
    batches = list(generate(rows, corpus.images, recipe, net, device=torch.device(device)))
    seconds = time.monotonic() - begin
    mixup = extract(np.concatenate([batch.mixup for batch in batches]))
    final = extract(np.concatenate([batch.final for batch in batches]))
    norms = np.concatenate([batch.norms for batch in batches if batch.norms is not None])
    found = compare(real, mixup, final, seed=options.seed)
    # The same denoising of unmixed images: what the network costs.
    itself = rows.set_column(
        rows.column_names.index("lambda"), "lambda", pc.add(pc.multiply(rows["lambda"], 0.0), 1.0)
    )
    unmixed = list(generate(itself, corpus.images, recipe, net, device=torch.device(device)))
    passed = extract(np.concatenate([batch.final for batch in unmixed]))
    return {
        "kd_mixup": found.kd_before,
        "kd": found.kd_after,
        "kd_interval": list(found.kd_interval),
        "fd_mixup": found.fd_before,
        "fd": found.fd_after,
        "fd_interval": None if found.fd_interval is None else list(found.fd_interval),
        "kd_real_through": kernel_distance(passed, real),
        "norm_median": float(np.median(norms[:, 2])),
        "images_per_second": rows.num_rows / seconds,
    }


def _markdown(records: list[dict[str, Any]], floor: float, kd: str, fd: str) -> str:
    lines = [
        f"| updates (images) | variant | {kd} x 1000 | less mixup's (95 %) | {fd} |"
        " less mixup's (95 %) | real images through it | norm |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        first = next(iter(record["variants"].values()))
        size = f"{record['updates']:,} ({record['images']:,})"
        lines.append(
            f"| {size} | mixup | {1000 * first['kd_mixup']:.2f} | | {first['fd_mixup']:.3f} | |"
            f" {1000 * floor:.2f} | real: {record['norm_real']:.3f} |"
        )
        for name, found in record["variants"].items():
            low, high = (1000 * value for value in found["kd_interval"])
            frechet = ""
            if found["fd_interval"] is not None:
                frechet = "{:+.3f} to {:+.3f}".format(*found["fd_interval"])
            lines.append(
                f"| {size} | {name} | {1000 * found['kd']:.2f} | {low:+.2f} to {high:+.2f} |"
                f" {found['fd']:.3f} | {frechet} | {1000 * found['kd_real_through']:.2f} |"
                f" {found['norm_median']:.3f} |"
            )
    return "\n".join(lines)


def _save(
    out: Path,
    records: list[dict[str, Any]],
    floor: float,
    extract: Any,
    rows: int,
    options: argparse.Namespace,
    device: str,
) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "source": Path(options.source).name,
        "resolution": options.resolution,
        "width": options.width,
        "rows": rows,
        "features": extract.describe(),
        "kd_floor": floor,
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "lengths": records,
    }
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    out.with_suffix(".md").write_text(_markdown(records, floor, extract.kd, extract.fd) + "\n")


if __name__ == "__main__":
    main()
