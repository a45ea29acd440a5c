"""The steps of the spine: is it stale, do it, write down what it was made from."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import torch

from ...manifests.errors import ConfigError, Interrupted, ScoreMixError, VerifyError
from ...manifests.files.atomic import sha256_file, write_parquet
from ...manifests.plan.plan import build_plan, rows_digest
from ...manifests.storage.store import store_of
from ...manifests.tombstones import read_tombstones
from ...models.network.checkpoint import TrainedNet
from ...stages.corpus.store import FORGOTTEN, Corpus, check_pixels, open_corpus
from ...stages.evaluate import evaluate as evaluating
from ...stages.ingest import ingest as ingesting
from ...stages.report.page import write_report
from ...stages.sources.remote import FetchOptions
from ...stages.train import train as training
from ...stages.train.validation import real_norms
from .. import environment, launch
from ..config import Config
from ..fingerprints import (
    Planned,
    command_to_train_longer,
    inputs_of_evaluate,
    inputs_of_ingest,
    inputs_of_plan,
    inputs_of_train,
    plan_options,
    recipe_of,
)
from ..finished_run import as_planned_work, is_trained, open_net, plan_path, read_plan
from ..ledger import Ledger
from ..maintenance.forget import drop_from_plan
from ..preflight import fetched_of
from ..progress import Stoppable
from ..shards.builder import ShardBuilder

if TYPE_CHECKING:
    from ..run import Job


@dataclass
class StageContext:
    """What every step works with."""

    job: "Job"
    ledger: Ledger
    stages: dict[str, str]

    def resolve(self, corpus: Corpus) -> Config:
        """Every default filled in."""
        device = self.ledger.device_type(self.job.device)
        return self.job.config.resolved(corpus.images.shape[1], device)

    def decide(self, stage: str, inputs: dict[str, Any], exists: bool) -> bool:
        """True if `stage` has to work; says why, or that it is up to date."""
        why = self.ledger.why(stage, inputs)
        if why is None and not exists:
            why = "its files are gone or not finished"
        if why is not None and self.job.only not in (None, stage):
            raise self.not_ready(stage, why)
        self.stages[stage] = "up to date" if why is None else "done"
        self.job.progress.stage = stage
        self.job.progress.note(f"{stage}: {'up to date' if why is None else why}")
        return why is not None

    def not_ready(self, stage: str, why: str) -> ScoreMixError:
        """What to say where a stage is wanted that needs another one first."""
        first = f"scoremix-pipeline run {self.job.folder / 'stages.yaml'}"
        if self.job.worker is not None and self.ledger.outcome(stage):
            return ConfigError(
                f"Worker {self.job.worker} was given other options than {self.job.folder} was"
                f" planned with: its {stage} is stale ({why}). Give it the options of the plan, or"
                " run the same command, --set and all, once with --until plan in place of --worker."
            )
        if self.job.worker is None:
            return ConfigError(
                f"{self.job.only} of {self.job.folder} was asked for, but its {stage} is stale"
                f" ({why}). Run `{first}` first."
            )
        return Interrupted(
            f"Worker {self.job.worker} has nothing to work on yet: {stage} of {self.job.folder} is"
            f" {why}. Run the same job once with --until plan, in one process, then start the"
            " workers; this command will then do its part."
        )


def ingest(context: StageContext) -> Corpus:
    job, out = context.job, context.job.folder / "corpus"
    if job.worker is not None and not _is_corpus(out):
        raise context.not_ready("ingest", "not done yet")
    if job.only is not None:  # the source may be elsewhere by now
        return open_corpus(out)
    inputs = inputs_of_ingest(job.config)
    sound = _is_corpus(out, context.ledger.outcome("ingest").get("digest"))
    if not sound and (out / "corpus.json").exists():
        _refuse_renumbering(job.folder, out)
    if context.decide("ingest", inputs, sound):
        if sound:
            _check_without_forgotten(job.config, out)
        device = context.ledger.device_type(job.device)
        options, seed = job.config.ingest, job.config.seed
        watched = Stoppable(job.progress, job.stopping)
        fetched = fetched_of(job.folder)
        corpus = ingesting.ingest(
            options,
            out,
            seed=seed,
            progress=watched,
            fetching=FetchOptions(fetched, watched, job.stopping),
            forgotten=read_tombstones(job.folder).hashes,
        )
        shutil.rmtree(fetched, ignore_errors=True)
        context.ledger.record("ingest", inputs, digest=corpus.digest, device_type=device)
        return corpus
    return open_corpus(out)


def _check_without_forgotten(config: Config, folder: Path) -> None:
    """Other options give another corpus, which takes no forgotten image again: where no plan can
    be made of the rest, that is told before anything is changed."""
    corpus = open_corpus(folder)
    if corpus.forgotten:
        gone = pc.equal(corpus.sources["status"], FORGOTTEN)
        rest = replace(corpus, sources=corpus.sources.filter(pc.invert(gone)))
        check_plan(config, rest)


def _is_corpus(folder: Path, digest: str | None = None) -> bool:
    """Whether there is a sound one; digest: the one that the ledger knows."""
    try:
        found = open_corpus(folder).digest
    except ScoreMixError:
        return False
    return digest in (None, found)


def _refuse_renumbering(run: Path, corpus: Path) -> None:
    """A damaged corpus is read again, unless that makes another one and costs a training."""
    if read_tombstones(run).files(retrained=False):
        raise VerifyError(
            f"A file in {corpus} is damaged, and images of it were forgotten: read again, the"
            " others are numbered anew, and the network is trained again. Restore the folder; or"
            f" delete {corpus / 'corpus.json'} and run the same command again, which does that."
        )


def without_forgotten(context: StageContext, config: Config, corpus: Corpus) -> Corpus:
    """Where a network will be trained, forgotten images leave the corpus and the plan first."""
    if not corpus.forgotten or config.generate.method == "mixup" or context.job.only is not None:
        return corpus
    why = context.ledger.why("train", inputs_of_train(config, corpus.digest))
    if why is None and is_trained(context.job.folder / "score-net"):
        return corpus
    drop_from_plan(context.job.folder)
    context.ledger.reload()
    return open_corpus(corpus.folder)


def check_plan(config: Config, corpus: Corpus) -> None:
    """Finds what no plan can meet, such as a class with one image, before a network is trained."""
    options = plan_options(config)
    build_plan(corpus.planned_sources, replace(options, ratio=min(options.ratio, 1)), config.seed)


def train(context: StageContext, config: Config, corpus: Corpus) -> TrainedNet | None:
    job, out = context.job, context.job.folder / "score-net"
    if config.generate.method == "mixup":
        context.stages["train"] = "skipped"
        job.progress.stage = "train"
        job.progress.note("train: skipped, mixup needs no score network")
        return None
    inputs = inputs_of_train(config, corpus.digest)
    if context.decide("train", inputs, is_trained(out)):
        assert config.generate.t0
        check_plan(config, corpus)
        check_pixels(corpus)
        training.train(
            config.train,
            corpus,
            out,
            seed=config.seed,
            t0=config.generate.t0,
            device=job.device,
            progress=job.progress,
            stopping=job.stopping,
        )
        if launch.rank() == 0:
            weights = sha256_file(out / "model.safetensors")
            facts = sha256_file(out / "model.json")
            context.ledger.record("train", inputs, weights_sha256=weights, facts_sha256=facts)
    else:
        _check_facts(context, out / "model.json")
    return open_net(out, torch.device(job.device))


def _check_facts(context: StageContext, path: Path) -> None:
    """Every shard depends on what it says: a flipped bit would have all of them made again."""
    known = context.ledger.outcome("train").get("facts_sha256")
    if known is not None and sha256_file(path) != known:
        raise VerifyError(
            f"{path} was changed after it was written. Restore it; or delete it and run the same"
            " command again: the network is then trained again, and the shards made anew."
        )


def plan(context: StageContext, config: Config, corpus: Corpus, net: TrainedNet | None) -> Planned:
    recipe = recipe_of(config, net.facts if net else None, corpus)
    inputs = inputs_of_plan(config, recipe)
    job = context.job
    rows = read_plan(job.folder, context.ledger.outcome("plan").get("digest"))
    if context.decide("plan", inputs, rows is not None) or rows is None:
        rows = build_plan(corpus.planned_sources, plan_options(config), config.seed)
        write_parquet(plan_path(job.folder), rows)
        digest = rows_digest(rows)
        where = environment.planned_environment(context.ledger, recipe, job.device)
        context.ledger.record("plan", inputs, digest=digest, rows=rows.num_rows, environment=where)
    digest = context.ledger.outcome("plan")["digest"]
    return as_planned_work(rows, digest, recipe, corpus.forgotten)


def evaluate(context: StageContext, builder: ShardBuilder, manifest: pa.Table) -> dict[str, Any]:
    job, out = context.job, context.job.folder / "report"
    config, corpus, net, planned = builder.config, builder.corpus, builder.net, builder.planned
    inputs = inputs_of_evaluate(config, planned)
    path = out / "metrics.json"
    if context.decide("evaluate", inputs, _is_sound(path, context.ledger.outcome("evaluate"))):
        check_pixels(corpus)
        norms = None
        if net is not None and len(corpus.reference):
            device = torch.device(job.device)
            norms = real_norms(net.net, net.sigma_1, corpus.reference[:1000], device)
        evaluation = evaluating.EvaluationInputs(
            plan=planned.rows,
            manifest=manifest,
            images=corpus.images,
            reference=corpus.reference,
            execute=builder.batches,
            seed=config.seed,
            train_more=command_to_train_longer(job.folder, config),
            reference_norms=norms,
            reference_ids=corpus.reference_ids,
            classes=corpus.classes,
            feature_folder=job.folder / ".scoremix" / "features",
            variation=builder.variation(),
        )
        watched = Stoppable(job.progress, job.stopping)
        evaluating.evaluate(config.evaluate, evaluation, out, watched)
        context.ledger.record("evaluate", inputs, metrics_sha256=sha256_file(path))
        _report(context)
    verdict: dict[str, Any] = json.loads(path.read_text())["verdict"]
    return verdict


def _is_sound(metrics: Path, outcome: dict[str, Any]) -> bool:
    return metrics.is_file() and outcome.get("metrics_sha256") == sha256_file(metrics)


def _report(context: StageContext) -> None:
    """The page, where what draws it is installed; without it the metrics are no less done."""
    try:
        write_report(context.job.folder, store_of(context.ledger.place()))
    except ConfigError as error:
        context.job.progress.note(f"report: {error}")
