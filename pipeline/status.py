"""What a run folder holds: done, stale (and why), missing, and how long is left."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..manifests.errors import ConfigError, ScoreMixError, StorageError
from ..manifests.files.atomic import sha256_file
from ..manifests.files.json_reader import parse_json
from ..manifests.published.sums import SUMS
from ..manifests.run_folder import STATE, RunFolder
from ..stages.common.json_lines import read_json_lines
from ..stages.common.units import format_duration
from ..stages.corpus.store import open_corpus
from ..stages.evaluate.baseline import MIXUP
from ..stages.generate.means import read_means
from .config import Config, load_config
from .decided import decided
from .earlier_trial import EARLIER, is_of_earlier, read_trial
from .fingerprints import (
    inputs_of_evaluate,
    inputs_of_ingest,
    inputs_of_pilot,
    inputs_of_plan,
    inputs_of_recognise,
    inputs_of_train,
    inputs_of_write,
)
from .ledger import Ledger
from .new_classes import is_recorded, needs_new_classes, new_classes_of
from .planned import Planned, planned_of, read_plan, recipe_of
from .shards.stores import open_shards
from .source_listing import source_changes

_STATES = {"done", "stale", "missing", "skipped"}  # first words of the texts


def describe(folder: Path) -> str:
    """One line per stage. Reads a few small files; nothing is changed, nothing is locked.

    Raises:
        ConfigError: `folder` is not a run folder.
    """
    files, stages = RunFolder(folder), stage_states(folder)
    lines = [f"{one['stage'] + ':':<9} {one['text']}" for one in stages]
    done = {one["stage"] for one in stages if one["state"] in ("done", "skipped")}
    if len(done) < len(stages):
        lines.append(_last_progress(files, done))
    return "\n".join(lines).rstrip()


def stage_states(folder: Path) -> list[dict[str, str]]:
    """{"stage", "state", "text"} of each stage up to the first that is not done, JSON-able.

    The trial, where there is one, comes after them as a stage does.

    state: done, stale, missing, skipped or under way.

    Raises:
        ConfigError: `folder` is not a run folder.
    """
    files = RunFolder(folder)
    if not files.config.exists():
        if files.internal.exists():
            return [_state("ingest", "under way or stopped; run the same command again")]
        raise ConfigError(
            f"{folder} is not a run folder: it has no stages.yaml. Name the folder that `run:` in"
            " your stages.yaml points to."
        )
    config = load_config(files.config, [])
    ledger = Ledger(folder)
    return [_state(stage, text) for stage, text in _stages(config, files, ledger)]


def _state(stage: str, text: str) -> dict[str, str]:
    word = text.split()[0].rstrip(",:")
    return {"stage": stage, "state": word if word in _STATES else "under way", "text": text}


def _stages(config: Config, files: RunFolder, ledger: Ledger) -> list[tuple[str, str]]:
    why, unknown = _why_ingest(config, files, ledger)
    if not ledger.outcome("ingest"):
        return [("ingest", f"missing ({why or 'not done yet'})")]
    digest = ledger.outcome("ingest")["digest"]
    try:
        corpus = open_corpus(files.corpus)
    except ScoreMixError as error:
        return [("ingest", f"missing ({error})")]
    if corpus.digest != digest:
        return [("ingest", f"missing ({files.corpus_commit} is damaged)")]
    # A stages.yaml that was edited, or emptied, may lack values that were filled in.
    config = config.resolved(corpus.images.shape[1], _device_type(ledger), len(corpus.images))
    done = f"done, {_counted(corpus.counts)}{unknown}"
    found = [("ingest", f"stale, {why}" if why else done)]
    model = None
    if not config.generate.needs_network:
        found.append(("train", f"skipped, {config.generate.method} needs no score network"))
    else:
        why = ledger.why_stale("train", inputs_of_train(config, digest, ledger))
        outcome = ledger.outcome("train")
        model = _json(files.model_facts, outcome.get("facts_sha256"))
        if why or model is None:
            return [
                *found,
                ("train", f"{_training(config, files)} ({why or 'files are gone or damaged'})"),
            ]
        chosen = model["training"]
        found.append(("train", f"done, {chosen['steps']:,} steps, {chosen['images']:,} images"))
    if config.generate.method == "auto":
        why = ledger.why_stale("pilot", inputs_of_pilot(config, ledger))
        if why:
            return [*found, ("pilot", f"missing ({why})")]
        found.append(("pilot", f"done, {ledger.outcome('pilot')['choice']} was chosen"))
        config = decided(config, ledger)
        model = model if config.generate.needs_network else None
    if needs_new_classes(config):
        why = ledger.why_stale("recognise", inputs_of_recognise(config, digest))
        if why or not is_recorded(files, ledger):
            why = why or f"{files.new_classes.name} is gone or damaged"
            return [*found, ("recognise", f"missing ({why})")]
    means = read_means(files.means, corpus.digest) if config.generate.needs_means else None
    if config.generate.needs_means and means is None:
        return [*found, ("plan", f"missing ({files.means.name} is gone or damaged)")]
    try:
        new_classes = new_classes_of(files, config, corpus, ledger)
    except ScoreMixError as error:
        return [*found, ("recognise", f"missing ({error})")]
    if new_classes:
        found.append(("recognise", f"done, {len(new_classes):,} new classes"))
    recipe = recipe_of(config, model, corpus, means.sha256 if means else None, new_classes)
    why = ledger.why_stale("plan", inputs_of_plan(config, recipe))
    if why or not files.plan.exists():
        return [*found, ("plan", f"missing ({why or 'its file is gone'})")]
    rows = read_plan(files, ledger.outcome("plan").get("digest"))
    if rows is None:
        return [*found, ("plan", "missing (its file is damaged)")]
    planned = planned_of(rows, ledger, recipe, corpus, new_classes)
    found.append(("plan", f"done, {planned.rows.num_rows:,} rows"))
    return [*found, *_write_and_evaluate(config, files, ledger, planned), *_trial(files, planned)]


def _trial(files: RunFolder, planned: Planned) -> list[tuple[str, str]]:
    """The trial of the run; [] where there is none."""
    record = read_trial(files.path)
    if record is None:
        return []
    if is_of_earlier(record, planned.recipe.as_json(), planned.rows):
        return [("trial", f"stale, {EARLIER}")]
    return [("trial", f"done, of {len(record['arms'])} arms")]


def _why_ingest(config: Config, files: RunFolder, ledger: Ledger) -> tuple[str | None, str]:
    """Why ingest is stale, None if it is not; and what cannot be known from here, else ""."""
    try:
        explain = source_changes(config, files)
        return ledger.why_stale("ingest", inputs_of_ingest(config, ledger), explain), ""
    except (ConfigError, StorageError) as error:  # a source that cannot be reached
        return None, f"; whether its source changed is not known: {error}"


def _write_and_evaluate(
    config: Config, files: RunFolder, ledger: Ledger, planned: Planned
) -> list[tuple[str, str]]:
    try:
        store = open_shards(ledger.place(), files.path)
        finished = [task for task in planned.shards if task.finished(store)]
        summed = store.size(SUMS) is not None
    except StorageError as error:
        return [("write", f"not known: {error}")]
    made = sum(task.rows.num_rows for task in finished)
    word = f"{len(finished)} of {len(planned.shards)} shards, {made:,} of {planned.rows.num_rows:,}"
    why = ledger.why_stale("write", inputs_of_write(planned))
    if len(finished) < len(planned.shards) or why or not summed:
        return [("write", f"{word} images ({why or 'files are gone or not finished'})")]
    why = ledger.why_stale("evaluate", inputs_of_evaluate(config, planned))
    written = ledger.outcome("evaluate").get("metrics_sha256")
    metrics = _json(files.metrics, written)
    judged = f"missing ({why or 'its files are gone or damaged'})"
    if metrics is not None and why is None:
        verdict = metrics["verdict"]["kind"]
        verdict = "mixup itself" if metrics["method"] in MIXUP else verdict
        judged = f"done, {'no verdict' if verdict == 'none' else verdict}"
    return [("write", f"done, {word} images"), ("evaluate", judged)]


def _device_type(ledger: Ledger) -> str:
    """As the ledger recorded it; ledgers of early versions did not."""
    recorded = ledger.outcome("ingest").get("device_type")
    if recorded is None:
        from ..models.network.device import device_type  # torch, which a status must not wait for

        return device_type("cpu")
    return str(recorded)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {word}" for word, number in sorted(counts.items()))


def _training(config: Config, files: RunFolder) -> str:
    """How far training is, and how long it takes from there at its last rate."""
    lines = list(read_json_lines(files.training_log, ["step", "rate"]))
    if not lines:
        return "missing"
    last = lines[-1]
    assert config.train.steps is not None and config.train.batch
    step = max(last["step"], _stopped_at(files))
    left = (config.train.steps - step) * config.train.batch / max(last["rate"], 1e-9)
    return f"at step {step:,} of {config.train.steps:,}, {format_duration(max(left, 0))} left"


def _stopped_at(files: RunFolder) -> int:
    """The step of the saved state, later than the log's last where training was stopped; or 0."""
    try:
        with safe_open(files.training_state / STATE, framework="numpy") as file:
            return int(parse_json(file.metadata()["progressed"])["step"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return 0  # the run itself says what is wrong


def _last_progress(files: RunFolder, done: set[str]) -> str:
    """The last progress that a running or stopped command wrote down; none of a stage in `done`."""
    fields = ("task", "done", "total", "rate", "left")
    tasks = list(read_json_lines(files.progress_log, fields))
    if not tasks or tasks[-1]["done"] >= tasks[-1]["total"]:
        return ""
    task = tasks[-1]
    if {"generate": "write"}.get(task["task"], task["task"]) in done:
        return ""
    return (
        f"last seen: {task['task']} {task['done']:,} of {task['total']:,} at {task['rate']:,.1f}/s,"
        f" {format_duration(task['left'])} left then"
    )


def _json(path: Path, sha256: str | None) -> dict[str, Any] | None:
    """None where the file is gone or damaged: the next run makes it again, or says what to do."""
    if not path.is_file() or sha256_file(path) != sha256:
        return None
    content: dict[str, Any] = parse_json(path.read_bytes())
    return content
