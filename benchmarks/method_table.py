"""METHOD TABLE: every method on the same pairs, after each of several lengths of training.

    python benchmarks/method_table.py --source digits --resolution 8 --fraction 0.167 \
        --lengths 500,1500 --out benchmarks/results/digits

Trains the network of `--preset`, with the options that a run would train it with, through the
given lengths (updates; 0 is an untrained control). At each it makes the same pairs with every
method, lambda uniform in [.1, .9], and compares them with held-out images: kernel distance with the
95 % interval of its difference to mixup's, precision, recall, coverage, and the median distance to
the nearest training image beside that of held-out images. Writes a Markdown table, a JSON of all
figures, and a contact sheet of the first pairs. `--train name=value` changes an option of section
train.
"""

import argparse
import json
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import yaml

from scoremix.manifests.plan.plan import PlanOptions, build_plan
from scoremix.manifests.plan.random_streams import image_seed, stream
from scoremix.models.features.extractors import open_extractor
from scoremix.models.metrics.contrast import contrast, detail
from scoremix.models.metrics.distances import Reference, compare
from scoremix.models.metrics.neighbours import nearest
from scoremix.models.metrics.prdc import prdc
from scoremix.models.network.checkpoint import TrainedNet, load_net
from scoremix.models.network.device import device_type
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus, open_corpus
from scoremix.stages.evaluate.contact_sheet import draw_columns
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.generate import generate
from scoremix.stages.generate.means import MeanImages, mean_images
from scoremix.stages.generate.recipe import Recipe
from scoremix.stages.ingest.ingest import IngestConfig, ingest
from scoremix.stages.train.config import TrainConfig
from scoremix.stages.train.train import train

RANGE = (0.1, 0.9)  # of lambda
METHODS: dict[str, dict[str, Any]] = {
    "mixup, contrast kept": {"method": "mixup", "contrast": "kept"},
    "cutmix": {"method": "cutmix"},
    "fmix": {"method": "fmix"},
    "fmix, seams repaired at t0 .35": {"method": "fmix", "repair_t0": 0.35},
    "augmix": {"method": "augmix"},
    "scoremix as published": {
        "steps": 100, "lr": 0.005, "t0": 0.25, "denoise_steps": 25, "noise_rule": "ancestral"
    },
    "scoremix": {},
    "denoising alone, t0 .15": {"steps": 0, "t0": 0.15},
    "denoising alone, t0 .35": {"steps": 0, "t0": 0.35},
    "denoising alone, t0 .5": {"steps": 0, "t0": 0.5},
    **{
        f"bridge, keep {keep}, t0 {t0:g}": {"method": "bridge", "keep": keep, "t0": t0}
        for keep in ("none", "noise", "both")
        for t0 in ((0.5, 0.65, 0.8) if keep == "both" else (0.65,))
    },
    "bridge, keep both, t0 .65, gamma .4": {"method": "bridge", "t0": 0.65, "gamma": 0.4},
    "renoise, t0 .35": {"method": "renoise", "t0": 0.35},
    "renoise, t0 .5": {"method": "renoise", "t0": 0.5},
    "sample": {"method": "sample", "denoise_steps": 18},
    "sample, guidance 1.5": {"method": "sample", "denoise_steps": 18, "guidance": 1.5},
}  # fmt: skip


def main() -> None:
    options = _arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    out, work = Path(options.out), Path(options.work or f"{options.out}.work")
    corpus = open_corpus(Path(options.run) / "corpus") if options.run else corpus_of(options, work)
    bench = Bench(corpus, options, torch.device(device))
    records = json.loads(out.with_suffix(".json").read_text())["lengths"] if options.append else []
    for length in options.lengths or [None]:
        begin = time.monotonic()
        folder = Path(options.run or work) / "score-net"
        config = training_config(options, corpus.images.shape[1], device, len(corpus.images))
        if length is not None:
            config = config.model_copy(update={"steps": length, "early_stop": False})
            train(
                config,
                replace(corpus, reference=corpus.reference[:0]) if options.blind else corpus,
                folder,
                seed=options.seed,
                t0=config.focus_t0 or 0.35,
                device=device,
                progress=Silent(),
            )
        net = load_net(folder, torch.device(device))
        training = net.facts["training"]
        records.append(
            {
                "updates": training["steps"],
                "images": training["images"],
                "chosen_step": training["chosen_step"],
                "train_seconds": time.monotonic() - begin,
                "loss_per_band": training["loss_per_band"],
                "options": training["options"],
                "methods": bench.judge_all(net, out.with_suffix(f".{training['steps']}.png")),
            }
        )
        print(bench.as_markdown(records[-1:]), flush=True)
        _save(out, records, bench, options, net.facts)


def training_config(
    options: argparse.Namespace, resolution: int, device: str, images: int
) -> TrainConfig:
    """Section `train` as a run with this preset resolves it, but for the changes asked for."""
    changes = dict(change.split("=", 1) for change in options.train)
    values = {name: yaml.safe_load(text) for name, text in changes.items()}
    config = TrainConfig.model_validate({"preset": options.preset, **values})
    return config.resolved(resolution, device_type(device), images)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="a run folder: judge its network, train nothing")
    add_corpus_arguments(parser)
    parser.add_argument("--train", action="append", default=[], help="name=value")
    parser.add_argument("--lengths", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--sheet-rows", type=int, default=10)
    parser.add_argument("--features", default="auto")
    parser.add_argument("--methods", type=lambda text: text.split(";"), help="parts of names")
    parser.add_argument("--precision", default="auto", help="of generation")
    parser.add_argument("--append", action="store_true", help="to the lengths that --out has")
    parser.add_argument(
        "--blind", action="store_true", help="train as a run does that holds nothing out"
    )
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """What is trained on, by which preset and with which seed."""
    parser.add_argument("--source", default="digits")
    parser.add_argument("--path")
    parser.add_argument("--resolution", type=int, default=8)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--per-class", type=int)
    parser.add_argument("--fraction", type=float)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work")


def corpus_of(options: argparse.Namespace, work: Path) -> Corpus:
    """The corpus in `work`, ingested there at first."""
    if (work / "corpus" / "corpus.json").exists():
        return open_corpus(work / "corpus")
    names = ("source", "path", "resolution", "limit", "per_class", "fraction")
    config = IngestConfig(**{name: getattr(options, name) for name in names})
    return ingest(config, work / "corpus", seed=options.seed, progress=Silent())


def _pairs(corpus: Corpus, count: int, seed: int) -> pa.Table:
    """Plan rows of the first rounds, their lambda drawn anew: uniform in RANGE."""
    ratio = -(-count // len(corpus.images))
    options = PlanOptions(ratio, 0.2, "auto", "self", "scoremix", 1000)
    plan = build_plan(corpus.sources, options, seed)
    rows = plan.slice(len(corpus.images), count)
    lambdas = stream(image_seed(seed, "benchmark"), "lambda").uniform(*RANGE, rows.num_rows)
    return rows.set_column(rows.column_names.index("lambda"), "lambda", pa.array(lambdas))


class Bench:
    """The pairs, and the real images that what is made of them is compared with."""

    def __init__(self, corpus: Corpus, options: argparse.Namespace, device: torch.device) -> None:
        self.corpus, self.options, self.device = corpus, options, device
        self.rows = _pairs(corpus, options.rows, options.seed)
        self.extract = open_extractor(options.features, None, corpus.reference)
        self.reference = Reference(self.extract(np.asarray(corpus.reference)))
        self.training = self.extract(np.asarray(corpus.images))
        self.real = np.asarray(corpus.reference)
        self.means: MeanImages = mean_images(
            corpus.images,
            np.arange(len(corpus.images)),
            corpus.training_ids,
            len(corpus.classes),
        )

    def judge_all(self, net: TrainedNet, sheet: Path) -> dict[str, Any]:
        """Every method on the pairs, in order: mixup and copies first."""
        lambdas = self.rows["lambda"].to_numpy()
        firsts, seconds = (
            self.corpus.images[self.rows[name].to_numpy()] for name in ("row_1", "row_2")
        )
        nearer = np.where((lambdas > 0.5)[:, None, None, None], firsts, seconds)
        mixup = self.make(net, {"method": "mixup"})[0]
        before = self.extract(mixup)
        judged = {"mixup": self._judge(before, mixup, before)}
        judged["copies of the nearer parent"] = self._judge(before, nearer, self.extract(nearer))
        shown = self.options.sheet_rows
        columns = {"parent 1": firsts[:shown], "parent 2": seconds[:shown], "mixup": mixup[:shown]}
        for name, changes in METHODS.items():
            wanted = self.options.methods
            if wanted and not any(part in name for part in wanted):
                continue
            if changes.get("guidance", 1.0) != 1.0 and net.guide is None:
                continue
            images, rate = self.make(net, changes)
            judged[name] = self._judge(before, images, self.extract(images))
            judged[name]["images_per_second"] = rate
            columns[name] = images[:shown]
            print(f"{name}: {1000 * judged[name]['kd']:.1f}, {rate:.1f}/s", flush=True)
        draw_columns(
            columns, lambdas[:shown], sheet, "The first pairs; lambda is parent 1's weight"
        )
        return judged

    def make(self, net: TrainedNet, changes: dict[str, Any]) -> tuple[Any, float]:
        """The finished images of the pairs, and how many a second."""
        side = self.corpus.images.shape[1]
        trained = net.facts["training"]["options"]
        config = GenerateConfig.model_validate({"method": "scoremix", **changes})
        config = config.model_copy(update={"precision": self.options.precision})
        config = config.resolved(
            self.options.preset,
            side,
            trained["width"],
            device_type(self.device.type),
            trained.get("network", "refinenet"),
        )
        means = self.means if config.needs_means else None
        recipe = Recipe.from_config(
            config, net.facts, self.corpus.digest, means.sha256 if means else None
        )
        begin = time.monotonic()
        batches = list(
            generate(
                self.rows,
                self.corpus.images,
                recipe,
                net if config.needs_network else None,
                means=means,
                device=self.device,
            )
        )
        rate = self.rows.num_rows / (time.monotonic() - begin)
        return np.concatenate([batch.final for batch in batches]), rate

    def _judge(self, before: Any, images: Any, features: Any) -> dict[str, Any]:
        found = compare(self.reference, before, features, seed=self.options.seed)
        fidelity = prdc(self.reference.vectors, features)
        return {
            "kd": found.kd_after,
            "kd_interval": list(found.kd_interval),
            "fd": found.fd_after,
            "precision": fidelity.precision,
            "recall": fidelity.recall,
            "coverage": fidelity.coverage,
            "nearest": self.nearest(features),
            "contrast": float(contrast(images).mean() / contrast(self.real).mean()),
            "detail": float(detail(images).mean() / detail(self.real).mean()),
        }

    def nearest(self, features: Any) -> float:
        """Median distance to the nearest training image, in the features."""
        return float(np.median(np.sqrt(nearest(features, self.training).squared[:, 0])))

    def as_markdown(self, records: list[dict[str, Any]]) -> str:
        """A table of all methods after each length."""
        floor = 1000 * self.reference.kernel(self.training)
        kd, fd = self.extract.kd, self.extract.fd
        lines = [
            f"{self.rows.num_rows} pairs, lambda uniform in [{RANGE[0]}, {RANGE[1]}];"
            f" {len(self.real)} held-out images. Kernel distance ({kd}) x 1000, with the"
            f" 95 % interval of the difference to mixup; training images themselves are at"
            f" {floor:.1f}. Nearest: median distance to the nearest training image; of held-out"
            f" images {self.nearest(self.reference.vectors):.3g}. Contrast: standard deviation,"
            " detail: high-frequency power, as shares of real ones.",
            "",
            f"| updates (images) | method | {kd} | difference to mixup | {fd} | precision |"
            " recall | coverage | nearest | contrast | detail | images/s |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for record in records:
            size = f"{record['updates']:,} ({record['images']:,})"
            for name, found in record["methods"].items():
                low, high = (1000 * value for value in found["kd_interval"])
                rate = found.get("images_per_second")
                lines.append(
                    f"| {size} | {name} | {1000 * found['kd']:.1f} |"
                    f" {'' if name == 'mixup' else f'{low:+.1f} to {high:+.1f}'} |"
                    f" {found['fd']:.4g} | {found['precision']:.2f} | {found['recall']:.2f} |"
                    f" {found['coverage']:.2f} | {found['nearest']:.3g} |"
                    f" {found['contrast']:.2f} | {found['detail']:.2f} |"
                    f" {'' if rate is None else f'{rate:.1f}'} |"
                )
        return "\n".join(lines)


def _save(
    out: Path,
    records: list[dict[str, Any]],
    bench: Bench,
    options: argparse.Namespace,
    facts: dict[str, Any],
) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    out.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "source": Path(options.run or options.source).name,
        "training_images": len(bench.corpus.images),
        "held_out_images": len(bench.real),
        "rows": bench.rows.num_rows,
        "features": bench.extract.describe(),
        "kd_floor": bench.reference.kernel(bench.training),
        "nearest_held_out": bench.nearest(bench.reference.vectors),
        "architecture": facts["architecture"],
        "sigma_1": facts["ladder"]["sigma_1"],
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "lengths": records,
    }
    out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    out.with_suffix(".md").write_text(bench.as_markdown(records) + "\n")


if __name__ == "__main__":
    main()
