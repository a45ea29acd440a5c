"""The steps of the spine: is it stale, do it, write down what it was made from."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import torch
from safetensors import SafetensorError

from ..manifests.atomic import (
    canonical_digest,
    read_parquet,
    sha256_file,
    storage_errors,
    write_parquet,
)
from ..manifests.card import CorpusFacts
from ..manifests.errors import ConfigError, ScoreMixError
from ..manifests.plan import build_plan, rows_digest, uses_soft_labels
from ..manifests.publish import is_published, publish, unpublish
from ..manifests.shard import read_marker
from ..models.checkpoint import TrainedNet, load_net
from ..stages import evaluate as evaluating
from ..stages import generate as generating
from ..stages import ingest as ingesting
from ..stages import train as training
from ..stages import write as writing
from ..stages.corpus import Corpus, check_pixels, open_corpus
from ..stages.held_out import real_norms
from ..stages.sources.bundled import BUNDLED
from . import ranks
from .config import Config
from .inputs import (
    Planned,
    inputs_of_evaluate,
    inputs_of_ingest,
    inputs_of_plan,
    inputs_of_train,
    inputs_of_write,
    plan_options,
    recipe_of,
    train_more,
)
from .ledger import Ledger
from .progress import Stoppable

if TYPE_CHECKING:
    from .run import Job


@dataclass
class Desk:
    """What every step works with."""

    job: "Job"
    ledger: Ledger
    stages: dict[str, str]

    def resolve(self, corpus: Corpus) -> Config:
        """Every default filled in. Tables look at the device type of the run's first ingest, so
        that a run which moves to another machine stays the same run."""
        config = self.job.config
        device = self.ledger.outcome("ingest").get("device_type", self.job.device)
        return config.resolved(corpus.images.shape[1], device)

    def decide(self, stage: str, inputs: dict[str, Any], exists: bool) -> bool:
        """True if `stage` has to work; says why, or that it is up to date."""
        why = self.ledger.why(stage, inputs)
        if why is None and not exists:
            why = "its files are gone or not finished"
        if why is not None and self.job.only not in (None, stage):
            raise ConfigError(
                f"{self.job.only} of {self.job.folder} was asked for, but its {stage} is stale"
                f" ({why}). Run `scoremix-pipeline run {self.job.folder / 'stages.yaml'}` first."
            )
        self.stages[stage] = "up to date" if why is None else "done"
        self.job.progress.note(f"{stage}: {'up to date' if why is None else why}")
        return why is not None


def ingest(desk: Desk) -> Corpus:
    job, out = desk.job, desk.job.folder / "corpus"
    if job.only is not None:  # the source may be elsewhere by now
        return open_corpus(out)
    inputs = inputs_of_ingest(job.config)
    if desk.decide("ingest", inputs, _is_corpus(out)):
        device = desk.ledger.outcome("ingest").get("device_type", job.device)
        options, seed = job.config.ingest, job.config.seed
        watched = Stoppable(job.progress, job.stopping)
        corpus = ingesting.ingest(options, out, seed=seed, progress=watched)
        desk.ledger.record("ingest", inputs, digest=corpus.digest, device_type=device)
        return corpus
    return open_corpus(out)


def _is_corpus(folder: Path) -> bool:
    try:
        open_corpus(folder)
    except ScoreMixError:
        return False
    return True


def check_plan(config: Config, corpus: Corpus) -> None:
    """Finds what no plan can meet, such as a class with one image, before a network is trained."""
    options = plan_options(config)
    build_plan(corpus.sources, replace(options, ratio=min(options.ratio, 1)), config.seed)


def train(desk: Desk, config: Config, corpus: Corpus) -> TrainedNet | None:
    job, out = desk.job, desk.job.folder / "score-net"
    if config.generate.method == "mixup":
        desk.stages["train"] = "skipped"
        job.progress.note("train: skipped, mixup needs no score network")
        return None
    inputs = inputs_of_train(config, corpus.digest)
    files = (out / "model.json", out / "model.safetensors")
    if desk.decide("train", inputs, all(path.exists() for path in files)):
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
        if ranks.rank() == 0:
            weights = sha256_file(out / "model.safetensors")
            desk.ledger.record("train", inputs, weights_sha256=weights)
    try:
        return load_net(out, torch.device(job.device))
    except (ValueError, OSError, SafetensorError) as error:
        raise ScoreMixError(str(error)) from error


def plan(desk: Desk, config: Config, corpus: Corpus, net: TrainedNet | None) -> Planned:
    recipe = recipe_of(config, net.facts if net else None, corpus.digest)
    inputs = inputs_of_plan(config, recipe)
    path = desk.job.folder / ".scoremix" / "plan.parquet"
    if desk.decide("plan", inputs, path.exists()):
        rows = build_plan(corpus.sources, plan_options(config), config.seed)
        write_parquet(path, rows)
        desk.ledger.record("plan", inputs, digest=rows_digest(rows), rows=rows.num_rows)
    rows = read_parquet(path)
    real = canonical_digest(generating.recipe_of_real(recipe))
    work = writing.plan_work(rows, real, canonical_digest(recipe))
    return Planned(rows, desk.ledger.outcome("plan")["digest"], recipe, work)


def write(
    desk: Desk, config: Config, corpus: Corpus, net: TrainedNet | None, planned: Planned
) -> pa.Table:
    job = desk.job
    _keep_higher_rounds(job.shards, planned)
    todo = [work for work in planned.work if not work.finished(job.shards)]
    inputs = inputs_of_write(planned)
    if desk.decide("write", inputs, not todo and is_published(job.shards)):
        desk.ledger.shards = os.path.relpath(job.shards, job.folder)
        desk.ledger.save()
        temporary = _temporary(job)
        shutil.rmtree(temporary, ignore_errors=True)  # what a killed run left
        _make_missing(desk, corpus, net, planned, todo, temporary)
        expected = {work.name: (work.rows_digest, work.recipe_digest) for work in planned.work}
        facts = _facts(config, corpus, planned.recipe)
        publish(job.shards, planned.rows, expected=expected, facts=facts, temporary=temporary)
        shutil.rmtree(temporary, ignore_errors=True)
        desk.ledger.record("write", inputs, shards=len(planned.work))
    return read_parquet(job.shards / "manifest.parquet")


def evaluate(
    desk: Desk,
    config: Config,
    corpus: Corpus,
    net: TrainedNet | None,
    planned: Planned,
    manifest: pa.Table,
) -> dict[str, Any]:
    job, out = desk.job, desk.job.folder / "report"
    inputs = inputs_of_evaluate(config, planned)
    if desk.decide("evaluate", inputs, (out / "metrics.json").exists()):
        norms = None
        if net is not None and len(corpus.reference):
            device = torch.device(job.device)
            norms = real_norms(net.net, net.sigma_1, corpus.reference[:1000], device)
        evaluating.evaluate(
            config.evaluate,
            plan=planned.rows,
            manifest=manifest,
            images=corpus.images,
            reference=corpus.reference,
            execute=partial(_make, desk, corpus, net, planned.recipe),
            reference_norms=norms,
            out=out,
            seed=config.seed,
            progress=Stoppable(job.progress, job.stopping),
            train_more=train_more(job.folder, config),
            reference_ids=corpus.reference_ids,
            classes=corpus.classes,
            features=job.folder / ".scoremix" / "features",
        )
        desk.ledger.record("evaluate", inputs)
    verdict: dict[str, Any] = json.loads((out / "metrics.json").read_text())["verdict"]
    return verdict


def _keep_higher_rounds(shards: Path, planned: Planned) -> None:
    """Refuses a lower ratio than was made: publishing it would delete finished rounds."""
    names = {work.name for work in planned.work}
    recipes = {work.recipe_digest for work in planned.work}
    beyond = [path.stem for path in shards.glob("aug-*.json") if path.stem not in names]
    markers = [read_marker(shards, name) for name in beyond]
    rounds = [found.round for found in markers if found and found.recipe_digest in recipes]
    if rounds:
        ratio = max(work.rows["round"][0].as_py() for work in planned.work)
        raise ConfigError(
            f"generate.ratio is {ratio}, but {shards} holds finished rounds up to {max(rounds)} of"
            " the same recipe, which a lower ratio would delete. Nothing was changed. The first"
            f" {ratio} rounds ARE the corpus at ratio {ratio}: index.json names each shard's round."
            " To have them alone, use another --out, or remove the other shards yourself."
        )


def _temporary(job: "Job") -> Path:
    """A place for unfinished files on the file system of the shards, not among them if it can."""
    with storage_errors(job.shards):
        job.shards.mkdir(parents=True, exist_ok=True)
    device = job.shards.stat().st_dev
    if job.folder in job.shards.parents and job.folder.stat().st_dev == device:
        return job.folder / ".scoremix" / "tmp"
    if job.shards.parent.stat().st_dev == device:
        return job.shards.with_name(f".{job.shards.name}.scoremix-tmp")
    return job.shards / ".scoremix-tmp"  # a mount point: gone before anything is published


def _make_missing(
    desk: Desk,
    corpus: Corpus,
    net: TrainedNet | None,
    planned: Planned,
    todo: list[writing.Work],
    temporary: Path,
) -> None:
    job = desk.job
    done = len(planned.work) - len(todo)
    if done:
        job.progress.note(f"write: {done} of {len(planned.work)} shards are finished already")
    if todo:
        check_pixels(corpus)
        unpublish(job.shards)
    make = partial(_make, desk, corpus, net, planned.recipe)
    soft = uses_soft_labels(corpus.sources, job.config.generate.pairing)
    sources = _parents(corpus, soft)
    writing.write(todo, make, sources, job.shards, temporary, progress=job.progress)


def _make(
    desk: Desk, corpus: Corpus, net: TrainedNet | None, recipe: dict[str, Any], rows: pa.Table
) -> Iterator[generating.Batch]:
    device, stopping = torch.device(desk.job.device), desk.job.stopping
    return generating.generate(rows, corpus.images, recipe, net, device=device, stopping=stopping)


def _parents(corpus: Corpus, soft: bool) -> writing.Sources:
    trained = corpus.sources.filter(pc.equal(corpus.sources["status"], "train")).sort_by("row")
    return writing.Sources(
        sha256=trained["sha256"].to_pylist(),
        license=trained["license"].to_pylist(),
        class_id=trained["class_id"].to_pylist(),
        classes=len(corpus.classes) if soft else 0,
    )


def _facts(config: Config, corpus: Corpus, recipe: dict[str, Any]) -> CorpusFacts:
    status = corpus.sources["status"].to_pylist()
    licences = {name for name in corpus.sources["license"].to_pylist() if name}
    return CorpusFacts(
        # Not the source folder's name: equal images give equal shards wherever they lay.
        name=next((name for name in BUNDLED if name == config.ingest.source), "images"),
        classes=tuple(corpus.classes),
        resolution=corpus.images.shape[1],
        channels=corpus.images.shape[3],
        recipe=recipe,
        licences=tuple(sorted(licences)),
        inputs={word: status.count(word) for word in sorted(set(status))},
    )
