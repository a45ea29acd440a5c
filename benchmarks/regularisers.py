"""REGULARISERS: what keeps a network from memorising its images, by held-out loss per noise band.

    python benchmarks/regularisers.py --source digits --resolution 8 --fraction 0.167 \
        --steps 2000 --out benchmarks/results/regularisers-digits

Trains the network of `--preset` on the same images once for each form, without an early stop, and
reads the log: the loss on held-out images at the step where the geometric mean of its bands is
lowest, which is the state that a run keeps, and at the end. A training that was stopped goes on.
`--forms "dropout=0,augment=0;dropout=0.13"` names others.
"""

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import torch
import yaml
from method_table import add_corpus_arguments, corpus_of, training_config

from scoremix.stages.common.progress import Silent
from scoremix.stages.train.train import train
from scoremix.stages.train.validation import overall

FORMS = (
    "dropout=0,augment=0",
    "dropout=0.13,augment=0",
    "dropout=0.25,augment=0",
    "dropout=0,augment=0.15",
    "dropout=0.13,augment=0.15",
)


def main() -> None:
    options = _arguments()
    out = Path(options.out)
    work = Path(options.work or f"{out}.work")
    corpus = corpus_of(options, work)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows: list[dict[str, Any]] = []
    for form in options.forms:
        options.train = form.split(",")
        config = training_config(options, corpus.images.shape[1], device, len(corpus.images))
        config = config.model_copy(update={"steps": options.steps, "early_stop": False})
        folder = work / form.replace(",", "-").replace("=", "-")
        train(config, corpus, folder, seed=options.seed, t0=0.35, device=device, progress=Silent())
        log = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
        rows.append({"form": form, "batch": config.batch, "log": log})
        text = _markdown(rows, len(corpus.images), len(corpus.reference))
        print(text, flush=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".md").write_text(text + "\n")
        facts = {"machine": platform.processor(), "torch": torch.__version__, "forms": rows}
        facts |= {"preset": options.preset, "training_images": len(corpus.images)}
        out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_corpus_arguments(parser)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--forms", type=lambda text: text.split(";"), default=list(FORMS))
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    for form in options.forms:
        assert isinstance(yaml.safe_load(form.replace(",", "\n").replace("=", ": ")), dict), form
    return options


def _markdown(rows: list[dict[str, Any]], training: int, held_out: int) -> str:
    bands = list(rows[0]["log"][0]["bands"]["held_out"])
    lines = [
        f"{training} training images, {held_out} held out. Loss on held-out images (the share of"
        " noise that is not predicted) per noise band, where it is best and at the end; in"
        " brackets that on training images.",
        "",
        f"| form | updates (images) | {' | '.join(f'sigma {band}' for band in bands)} | mean |",
        f"|---|---|{'---|' * (len(bands) + 1)}",
    ]
    for row in rows:
        best = min(row["log"], key=_mean)
        for entry in (best, row["log"][-1]) if best is not row["log"][-1] else (best,):
            cells = (
                f"{entry['bands']['held_out'][band]:.3g} ({entry['bands']['train'][band]:.3g})"
                for band in bands
            )
            size = f"{entry['step']:,} ({entry['step'] * row['batch']:,})"
            mean = (
                f"{'**' if entry is best else ''}{_mean(entry):.4f}{'**' if entry is best else ''}"
            )
            lines.append(f"| {row['form']} | {size} | {' | '.join(cells)} | {mean} |")
    return "\n".join(lines)


def _mean(entry: dict[str, Any]) -> float:
    return overall(entry["bands"]["held_out"], None, geometric=True)


if __name__ == "__main__":
    main()
