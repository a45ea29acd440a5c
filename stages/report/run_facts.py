"""Reads the facts of a finished run for its report: metrics, inputs, training, time and energy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, VerifyError
from ...manifests.files.atomic import read_parquet
from ...manifests.files.json_reader import parse_json
from ...manifests.published.index import INDEX, read_index
from ...manifests.published.sums import SUMS
from ...manifests.run_folder import STAGES, RunFolder
from ...manifests.shards.shard import NORMS, read_marker
from ...manifests.storage.store import Store
from ..common.json_lines import read_json_lines
from ..corpus.store import open_corpus
from ..evaluate.row_sample import MIXED_LAMBDA, fold_lambda

Floats = NDArray[np.float64]

_METRICS = (
    "bands", "copying", "features", "lambda_from_0.1", "method", "real_floor", "records", "verdict"
)  # fmt: skip
_MOST_REJECTS = 40  # that the page lists; the count is of all


@dataclass(frozen=True)
class Cost:
    """What each stage of a run cost over all launches, from the log of its progress."""

    seconds: dict[str, float]  # by stage
    rates: dict[str, float]  # images per second by task (ingest, train, generate), the last logged
    joules: dict[str, dict[str, float]]  # by stage: cpu, gpu; empty where they were not read


@dataclass(frozen=True)
class RunFacts:
    """Everything on the page but the pictures."""

    run: Path
    shards: Store
    metrics: dict[str, Any]  # report/metrics.json
    index: dict[str, Any]  # shards/index.json
    manifest: pa.Table
    config: str  # stages.yaml as resolved
    inputs: dict[str, int]  # sources by status
    rejects: list[tuple[str, str, str]]  # name, status, reason
    training: list[dict[str, Any]]  # train.jsonl, the last pass alone
    cost: Cost
    digests: dict[str, str]
    environments: list[str]  # of the shards, from their markers

    @property
    def folded(self) -> Floats:
        """min(lambda, 1 - lambda) of every row of the manifest."""
        return fold_lambda(self.manifest)

    @property
    def real(self) -> tuple[NDArray[np.int64], list[str]]:
        """Rows and keys of the training images in the shards, without forgotten ones."""
        real = self.manifest.filter(pc.invert(pc.equal(self.manifest["kind"], "augmented")))
        rows: NDArray[np.int64] = real["row_1"].to_numpy()
        return rows, real["key"].to_pylist()

    @property
    def augmented(self) -> NDArray[np.bool_]:
        """Which rows of the manifest are augmented images."""
        mask: NDArray[np.bool_] = pc.equal(self.manifest["kind"], "augmented").to_numpy()
        return mask


def read_facts(run: Path, shards: Store) -> RunFacts:
    """Reads a run whose evaluation is done.

    Raises:
        ConfigError: the run has no evaluation yet, or no published shards.
        VerifyError: metrics.json or stages.yaml is damaged, or of another version.
    """
    metrics = RunFolder(run).metrics
    if not metrics.exists():
        raise ConfigError(
            f"{run} has no evaluation yet, and the report shows its results. Run"
            f" `scoremix-pipeline run {RunFolder(run).config}` first."
        )
    if shards.size(SUMS) is None:
        raise ConfigError(
            f"{shards} is not a finished corpus ({SUMS} is missing). Run"
            f" `scoremix-pipeline run {RunFolder(run).config}` first."
        )
    corpus = open_corpus(RunFolder(run).corpus)
    index = read_index(shards)
    return RunFacts(
        run=run,
        shards=shards,
        metrics=_metrics(metrics),
        index=index,
        manifest=read_parquet(shards.read("manifest.parquet")),
        config=read_config(RunFolder(run).config),
        inputs=_counts(corpus.sources),
        rejects=_rejects(corpus.sources),
        training=_training(RunFolder(run).training_log),
        cost=read_cost(RunFolder(run).progress_log),
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
    norms = {"training": facts.manifest[NORMS[-1]].to_numpy()[~facts.augmented]}
    for name in NORMS:
        norms[name.removeprefix("norm_")] = facts.manifest[name].to_numpy()[mixed]
    return {name: values for name, values in norms.items() if len(values)}


def _metrics(path: Path) -> dict[str, Any]:
    remedy = f"Run `scoremix-pipeline evaluate {path.parents[1]}`, which writes it again."
    try:
        metrics = dict(parse_json(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise VerifyError(f"{path} is damaged ({error}). {remedy}") from error
    lacking = [name for name in _METRICS if name not in metrics]
    if lacking:
        raise VerifyError(
            f"{path} has no {', '.join(lacking)}: it is of another version, or was edited. {remedy}"
        )
    return metrics


def read_config(path: Path) -> str:
    """The text of stages.yaml, comments included; VerifyError where it is gone or not UTF-8."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise VerifyError(
            f"{path} cannot be read ({error}). Restore it, or run the command that made this run"
            " again, which writes it."
        ) from error


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
    for line in read_json_lines(path, ["step"]):
        while lines and lines[-1]["step"] >= line["step"]:
            lines.pop()
        lines.append(line)
    return lines


def read_cost(log: Path) -> Cost:
    """Seconds and joules per stage, and the last rate of each task, from progress.jsonl.

    The time between two lines belongs to the stage of the first one, and so does the energy
    between two lines that have joules. Every launch counts its seconds and joules from 0.
    """
    cost = Cost({}, {}, {})
    stage: str | None = None
    seconds, joules = 0.0, dict[str, float]()  # so far in this launch
    for line in read_json_lines(log, ["seconds"]):
        if line["seconds"] < seconds:  # another launch
            stage, seconds, joules = None, 0.0, {}
        spent: dict[str, float] = line.get("joules", {})
        if stage is not None:
            cost.seconds[stage] = cost.seconds.get(stage, 0.0) + line["seconds"] - seconds
            of_stage = cost.joules.setdefault(stage, {})
            for kind, value in spent.items():
                of_stage[kind] = of_stage.get(kind, 0.0) + value - joules.get(kind, 0.0)
        seconds, joules = line["seconds"], joules | spent
        stage = line.get("stage") or _stage_of_note(line) or stage
        if "task" in line:
            cost.rates[line["task"]] = line["rate"]
    return cost


def _stage_of_note(line: dict[str, Any]) -> str | None:
    """The stage whose name begins the note: logs of older versions have no field `stage`."""
    word = str(line.get("note", "")).partition(":")[0]
    return word if word in STAGES else None


def _environments(shards: Store, index: dict[str, Any]) -> list[str]:
    environments = set()
    for entry in index["shardlist"]:
        marker = read_marker(shards, entry["url"].removesuffix(".tar"))
        if marker is not None:  # else it is damaged or gone, which is for `verify` to name
            used = sorted(marker.environment.items())
            environments.add(", ".join(f"{name} {version}" for name, version in used))
    return sorted(environments)
