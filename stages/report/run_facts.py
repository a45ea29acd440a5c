"""What a run folder says of itself, read and counted; a part that is not there is left out."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, VerifyError
from ...manifests.files.atomic import read_parquet
from ...manifests.published.index import INDEX, read_index
from ...manifests.published.publish import SUMS
from ...manifests.shards.shard import NORMS
from ...manifests.storage.store import Store
from ..corpus.store import open_corpus
from ..evaluate.row_sample import MIXED_LAMBDA, fold_lambda

Floats = NDArray[np.float64]

_STAGES = ("ingest", "train", "plan", "write", "evaluate")
_NEEDED = (
    "bands", "copying", "features", "lambda_from_0.1", "method", "real_floor", "records", "verdict"
)  # fmt: skip
_MOST_REJECTS = 40  # that the page lists; the count is of all


@dataclass(frozen=True)
class RunFacts:
    """Everything the page tells, but for the pictures."""

    run: Path
    shards: Store
    metrics: dict[str, Any]  # report/metrics.json
    index: dict[str, Any]  # shards/index.json
    manifest: pa.Table
    config: str  # stages.yaml as resolved
    inputs: dict[str, int]  # sources by status
    rejects: list[tuple[str, str, str]]  # name, status, reason
    training: list[dict[str, Any]]  # train.jsonl, the last pass alone
    seconds: dict[str, float]  # per stage, over all launches
    images: dict[str, float]  # images per second of training and generation, as last shown
    joules: dict[str, dict[str, float]]  # per stage: cpu, gpu; empty where not readable
    digests: dict[str, str]
    environments: list[str]  # of the shards, as their markers say

    @property
    def folded(self) -> Floats:
        """min(lambda, 1 - lambda) of every row of the manifest."""
        return fold_lambda(self.manifest["lambda"])

    @property
    def augmented(self) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = pc.equal(self.manifest["kind"], "augmented").to_numpy()
        return mask


def read_facts(run: Path, shards: Store) -> RunFacts:
    """Reads a run whose evaluation is done.

    Raises:
        ConfigError: there is no evaluation, or no published corpus, to report on.
    """
    metrics = run / "report" / "metrics.json"
    if not metrics.exists():
        raise ConfigError(
            f"{run} has no evaluation yet, which the report is of. Run"
            f" `scoremix-pipeline run {run / 'stages.yaml'}` first."
        )
    if shards.size(SUMS) is None:
        raise ConfigError(
            f"{shards} is not a finished corpus ({SUMS} is missing). Run"
            f" `scoremix-pipeline run {run / 'stages.yaml'}` first."
        )
    corpus = open_corpus(run / "corpus")
    index = read_index(shards)
    return RunFacts(
        run=run,
        shards=shards,
        metrics=_metrics(metrics),
        index=index,
        manifest=read_parquet(shards.read("manifest.parquet")),
        config=(run / "stages.yaml").read_text(),
        inputs=_counts(corpus.sources),
        rejects=_rejects(corpus.sources),
        training=_training(run / "score-net" / "train.jsonl"),
        **_cost(run / ".scoremix" / "progress.jsonl"),
        digests={
            "plan": index["plan_digest"],
            "index": shards.sha256(INDEX),
            "corpus": corpus.digest,
            "network": str(index["recipe"].get("model_sha256", "none")),
        },
        environments=_environments(shards, index),
    )


def norms_of(facts: RunFacts) -> dict[str, Floats]:
    """||sigma_N S||^2 / D of training images, and of each step where folded lambda is >= .1."""
    if facts.manifest[NORMS[-1]].null_count:
        return {}
    mixed = facts.augmented & (facts.folded >= MIXED_LAMBDA)
    found = {"training": facts.manifest[NORMS[-1]].to_numpy()[~facts.augmented]}
    for name in NORMS:
        found[name.removeprefix("norm_")] = facts.manifest[name].to_numpy()[mixed]
    return {name: values for name, values in found.items() if len(values)}


def _metrics(path: Path) -> dict[str, Any]:
    again = f"Run `scoremix-pipeline evaluate {path.parents[1]}`: it is then made again."
    try:
        metrics = dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise VerifyError(f"{path} is damaged ({error}). {again}") from error
    lacking = [name for name in _NEEDED if name not in metrics]
    if lacking:
        raise VerifyError(
            f"{path} has no {', '.join(lacking)}: it is of another version, or was edited. {again}"
        )
    return metrics


def _counts(sources: pa.Table) -> dict[str, int]:
    status = sources["status"].to_pylist()
    return {word: status.count(word) for word in sorted(set(status))}


def _rejects(sources: pa.Table) -> list[tuple[str, str, str]]:
    bad = sources.filter(pc.is_in(sources["status"], pa.array(["rejected", "duplicate"])))
    rows = bad.select(["name", "status", "reason"]).slice(0, _MOST_REJECTS).to_pylist()
    return [(row["name"], row["status"], row["reason"] or "") for row in rows]


def _training(path: Path) -> list[dict[str, Any]]:
    """The lines of the pass that made the network: steps that rise to the end."""
    lines: list[dict[str, Any]] = []
    for line in _lines(path, "step"):
        while lines and lines[-1]["step"] >= line["step"]:
            lines.pop()
        lines.append(line)
    return lines


def _lines(path: Path, wanted: str) -> Iterator[dict[str, Any]]:
    """Objects that have the field, a line each; not what a killed run did not finish."""
    for text in path.read_bytes().splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and wanted in line:
            yield line


def _cost(path: Path) -> dict[str, dict[str, Any]]:
    """Seconds and joules spent in each stage and the rates last shown, from the log of progress."""
    seconds: dict[str, float] = {}
    images: dict[str, float] = {}
    joules: dict[str, dict[str, float]] = {}
    stage, before = None, 0.0
    drawn: dict[str, float] = {}  # by the launch that the line is of
    for line in _lines(path, "seconds"):
        if line["seconds"] < before:  # another launch
            stage, before, drawn = None, 0.0, {}
        now = line.get("joules", {})
        if stage is not None:
            seconds[stage] = seconds.get(stage, 0.0) + line["seconds"] - before
            spent = joules.setdefault(stage, {})
            for kind, value in now.items():
                spent[kind] = spent.get(kind, 0.0) + value - drawn.get(kind, 0.0)
        before, drawn = line["seconds"], now
        word = str(line.get("note", "")).partition(":")[0]
        stage = word if word in _STAGES else stage
        if "task" in line:
            images[line["task"]] = line["rate"]
    return {"seconds": seconds, "images": images, "joules": joules}


def _environments(shards: Store, index: dict[str, Any]) -> list[str]:
    found = set()
    for entry in index["shardlist"]:
        marker = json.loads(shards.read(entry["url"].replace(".tar", ".json")))
        found.add(", ".join(f"{k} {v}" for k, v in sorted(marker["environment"].items())))
    return sorted(found)
