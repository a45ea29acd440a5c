"""FinishedRun: a run opened again to repair or change its shards; nothing is trained or planned."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..manifests.errors import ConfigError, Interrupted
from ..manifests.run_folder import RunFolder
from ..manifests.tombstones import read_tombstones
from ..stages.corpus.store import Corpus, check_pixels, open_corpus
from .config import Config, load_config
from .decided import decided
from .fingerprints import (
    inputs_of_pilot,
    inputs_of_plan,
    inputs_of_recognise,
    inputs_of_train,
    inputs_of_write,
)
from .ledger import Ledger
from .means import means_sha256_of
from .new_classes import needs_new_classes
from .planned import Planned, open_plan
from .shards.builder import ShardBuilder
from .trained_network import open_network, read_model_facts


class OtherOptions(ConfigError):
    """The shards of a run are not what its options would make now."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: config, ledger, corpus and plan."""

    folder: Path
    config: Config  # resolved, with the method that a pilot chose
    ledger: Ledger
    corpus: Corpus
    planned: Planned
    has_network: bool  # also where the pilot chose a method without one

    def builder(self, device: str) -> ShardBuilder:
        """A builder without the network: enough for the metadata files."""
        return ShardBuilder(self.folder, self.config, self.corpus, None, self.planned, device)

    def with_network(self, builder: ShardBuilder) -> ShardBuilder:
        """Ready to make images. Raises ScoreMixError where pixels or network are not those.

        builder: may be of other options than the run's, as for an arm of a trial.
        """
        check_pixels(self.corpus)
        if not builder.config.generate.needs_network:
            return builder
        net = open_network(RunFolder(self.folder), torch.device(builder.device))
        return replace(builder, net=net)


def load_finished_run(folder: Path, *, finished: bool = True) -> FinishedRun:
    """Opens the run in `folder`. The caller holds its lock.

    finished: its shards must be what it would make now; else only their plan must be.

    Raises:
        ConfigError: it is no run.
        OtherOptions: its shards were not finished with what it holds now, or a stage was not done.
        Interrupted: images are being forgotten, and not all is done.
        VerifyError: its corpus or plan is damaged beyond being made again.
    """
    files = RunFolder(folder)
    if not files.config.is_file():
        raise ConfigError(
            f"{folder} is not a run folder: it has no stages.yaml. Name the folder that made the"
            " shards, as in --run runs/digits."
        )
    if finished:
        refuse_pending(folder)
    ledger = Ledger(folder)
    _require_done(ledger, "ingest")
    corpus = open_corpus(files.corpus)
    resolved = resolved_config(files, ledger, corpus)
    if resolved.generate.needs_network:
        _require_done(ledger, "train")
    config = decided(resolved, ledger)
    if needs_new_classes(config):
        _require_done(ledger, "recognise")
    model = read_model_facts(files) if config.generate.needs_network else None
    means = means_sha256_of(files, config, corpus, ledger)
    planned = open_plan(files, config, corpus, ledger, model, means)
    inputs_of: dict[str, dict[str, Any]] = {"plan": inputs_of_plan(config, planned.recipe)}
    if resolved.generate.needs_network:
        inputs_of["train"] = inputs_of_train(resolved, corpus.digest, ledger)
    if resolved.generate.method == "auto":
        inputs_of["pilot"] = inputs_of_pilot(resolved, ledger)
    if needs_new_classes(config):
        inputs_of["recognise"] = inputs_of_recognise(config, corpus.digest)
    if finished:
        inputs_of["write"] = inputs_of_write(planned)
    for stage, inputs in inputs_of.items():
        why = ledger.why_stale(stage, inputs)
        if why is not None:
            raise OtherOptions(
                f"The shards of {folder} are not what it would make now: {stage} is {why}. Run"
                f" `scoremix-pipeline run {files.config}` to finish them first."
            )
    return FinishedRun(
        folder, config, ledger, corpus, planned, has_network=resolved.generate.needs_network
    )


def _require_done(ledger: Ledger, stage: str) -> None:
    """Raises OtherOptions where `stage` was never done, as with `--until` an earlier one."""
    if stage not in ledger.stages:
        config = RunFolder(ledger.run).config
        raise OtherOptions(
            f"The run {ledger.run} is not finished: its stage {stage} is not done yet. Run"
            f" `scoremix-pipeline run {config}` first."
        )


def require_written(run: FinishedRun) -> None:
    """Raises ConfigError unless the shards of the run are those of its plan, and published."""
    why = run.ledger.why_stale("write", inputs_of_write(run.planned))
    if why is not None:
        raise ConfigError(
            f"The shards of {run.folder} are not what it would make now: write is {why}. Run"
            f" `scoremix-pipeline run {RunFolder(run.folder).config}` to finish them first."
        )


def resolved_config(files: RunFolder, ledger: Ledger, corpus: Corpus) -> Config:
    """The run's config with every value filled in for its corpus and device."""
    device = ledger.outcome("ingest").get("device_type", "cpu")
    return load_config(files.config, []).resolved(
        corpus.images.shape[1], device, len(corpus.images)
    )


def refuse_pending(folder: Path) -> None:
    """Raises Interrupted where a `forget` was killed: what it leaves is to be ended first."""
    if read_tombstones(folder).pending:
        raise Interrupted(
            f"{RunFolder(folder).tombstones} says that images are being forgotten, and not all is"
            f" done. Run `scoremix-pipeline forget {folder}` once, then this command again."
        )
