"""A finished run opened again, to mend or to change what it made; nothing is trained or planned."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch
from safetensors import SafetensorError

from ..manifests.errors import ConfigError, Interrupted, ScoreMixError, VerifyError
from ..manifests.files.atomic import read_parquet
from ..manifests.plan.plan import build_plan, rows_digest
from ..manifests.tombstones import NAME as TOMBSTONES
from ..manifests.tombstones import read_tombstones
from ..models.network.checkpoint import TrainedNet, load_net, read_facts
from ..stages.corpus.store import Corpus, check_pixels, open_corpus
from ..stages.generate.recipe import Recipe
from ..stages.write import write as writing
from .config import Config, load_config
from .fingerprints import Planned, inputs_of_plan, inputs_of_train, inputs_of_write, plan_options
from .fingerprints import recipe_of as recipe_of_run
from .ledger import Ledger
from .shards.builder import ShardBuilder


@dataclass(frozen=True)
class FinishedRun:
    """What a run folder says that its shards were made from."""

    folder: Path
    config: Config  # resolved
    ledger: Ledger
    corpus: Corpus
    planned: Planned

    def builder(self, device: str) -> ShardBuilder:
        """Everything that facts and small files need, and no network."""
        return ShardBuilder(self.folder, self.config, self.corpus, None, self.planned, device)

    def with_network(self, builder: ShardBuilder) -> ShardBuilder:
        """Ready to make shards. Raises ScoreMixError where pixels or network are not those."""
        check_pixels(self.corpus)
        if self.config.generate.method == "mixup":
            return builder
        return replace(
            builder, net=open_net(self.folder / "score-net", torch.device(builder.device))
        )


def is_trained(folder: Path) -> bool:
    """Whether score-net/ holds a finished network; not whether it is sound."""
    return (folder / "model.json").exists() and (folder / "model.safetensors").exists()


def open_net(folder: Path, device: torch.device) -> TrainedNet:
    """score-net/, or what is wrong with it and what to do."""
    try:
        return load_net(folder, device)
    except FileNotFoundError as error:
        raise ScoreMixError(
            f"{error.filename} is missing, without which no image can be made. Restore it, or run"
            " the same command as before: the network is then trained again."
        ) from error
    except (ValueError, KeyError, TypeError, OSError, SafetensorError) as error:
        raise ScoreMixError(f"The network in {folder} cannot be used: {error}") from error


def load_finished_run(folder: Path, *, finished: bool = True) -> FinishedRun:
    """Opens the run in `folder`. The caller holds its lock.

    finished: its shards must be what it would make now; else only their plan must be.

    Raises:
        ConfigError: it is no run, or its shards were not finished with what it holds now.
        Interrupted: images are being forgotten, and not all is done.
        VerifyError: its corpus or plan is damaged beyond being made again.
    """
    if not (folder / "stages.yaml").is_file():
        raise ConfigError(
            f"{folder} is not a run folder: it has no stages.yaml. Name the folder that made the"
            " shards, as in --run runs/digits."
        )
    if finished:
        refuse_pending(folder)
    config, ledger = load_config(folder / "stages.yaml", []), Ledger(folder)
    corpus = open_corpus(folder / "corpus")
    device = ledger.outcome("ingest").get("device_type", "cpu")
    config = config.resolved(corpus.images.shape[1], device)
    recipe = recipe_of_run(config, _model(folder, config), corpus)
    planned = open_plan(folder, config, corpus, ledger, recipe)
    wanted: dict[str, dict[str, Any]] = {"plan": inputs_of_plan(config, recipe)}
    if config.generate.method != "mixup":
        wanted["train"] = inputs_of_train(config, corpus.digest)
    if finished:
        wanted["write"] = inputs_of_write(planned)
    for stage, inputs in wanted.items():
        why = ledger.why(stage, inputs)
        if why is not None:
            raise ConfigError(
                f"The shards of {folder} are not what it would make now: {stage} is {why}. Run"
                f" `scoremix-pipeline run {folder / 'stages.yaml'}` to finish them first."
            )
    return FinishedRun(folder, config, ledger, corpus, planned)


def refuse_pending(folder: Path) -> None:
    """Raises Interrupted where a `forget` was killed: what it leaves is to be ended first."""
    if read_tombstones(folder).pending:
        raise Interrupted(
            f"{folder / TOMBSTONES} says that images are being forgotten, and not all is done. Run"
            f" `scoremix-pipeline forget {folder}` once, then this command again."
        )


def open_plan(
    folder: Path, config: Config, corpus: Corpus, ledger: Ledger, recipe: Recipe
) -> Planned:
    """The plan that the ledger names; made again from corpus and options where its file is gone.

    Raises VerifyError where these give another one.
    """
    digest: str = ledger.outcome("plan").get("digest", "")
    rows = read_plan(folder, digest)
    if rows is None:
        rows = build_plan(corpus.planned_sources, plan_options(config), config.seed)
        if rows_digest(rows) != digest:
            raise VerifyError(
                f"{plan_path(folder)} is gone or damaged, and {folder} now gives another plan."
                f" Restore it, or run `scoremix-pipeline run {folder / 'stages.yaml'}`."
            )
    return as_planned_work(rows, digest, recipe, corpus.forgotten)


def as_planned_work(
    rows: pa.Table, digest: str, recipe: Recipe, forgotten: frozenset[str]
) -> Planned:
    """The plan with the shards that it asks for, without what was made of forgotten images."""
    if forgotten:
        rows, digest = (kept := without_keys(rows, forgotten)), rows_digest(kept)
    work = writing.plan_shards(rows, recipe.for_real_images().digest, recipe.digest)
    return Planned(rows, digest, recipe, work)


def without_keys(rows: pa.Table, keys: frozenset[str]) -> pa.Table:
    """Plan or manifest rows that have no parent among `keys`."""
    gone = pa.array(sorted(keys), pa.string())
    either = pc.or_(pc.is_in(rows["source_1"], gone), pc.is_in(rows["source_2"], gone))
    return rows.filter(pc.invert(either))


def plan_path(folder: Path) -> Path:
    return folder / ".scoremix" / "plan.parquet"


def read_plan(folder: Path, digest: str | None) -> pa.Table | None:
    """The run's plan, or None where its file is gone, damaged, or not the one of this digest."""
    try:
        rows = read_parquet(plan_path(folder))
        return rows if rows_digest(rows) == digest else None
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return None


def _model(folder: Path, config: Config) -> dict[str, Any] | None:
    """model.json's content; the weights are not looked at."""
    if config.generate.method == "mixup":
        return None
    try:
        return read_facts(folder / "score-net")
    except (OSError, ValueError) as error:
        raise ScoreMixError(
            f"{folder / 'score-net' / 'model.json'} is gone or damaged ({error}), and with it what"
            " the shards were made from. Restore it, or run the same command as before: the"
            " network is then trained again, and the shards made anew."
        ) from error
