"""The step `pilot`: is the choice of a method stale, compare candidates, record the choice."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import torch

from ...manifests.files.atomic import sha256_file
from ...manifests.files.rows import rows_where
from ...models.method.ladder import sigma_at
from ...models.method.methods import FrozenScore
from ...models.network.checkpoint import TrainedNet
from ...models.network.device import device_type
from ...stages.common.presets import balanced_batch
from ...stages.common.tensors import to_unit
from ...stages.corpus.store import Corpus, check_pixels
from ...stages.generate.config import GenerateConfig
from ...stages.generate.encodings import Encodings
from ...stages.generate.generate import GeneratedBatch, generate
from ...stages.generate.recipe import Recipe
from ...stages.pilot import pilot as piloting
from ...stages.pilot.rows import draw_rows
from .. import launch
from ..config import Config
from ..decided import candidate_configs, decided
from ..fingerprints import inputs_of_pilot
from ..job import Role, StageContext
from ..means import open_means
from ..planned import without_keys
from ..progress import Stoppable
from ..speed_probe import probe_network
from .waiting import wait_for_leader

_PROBE_SECONDS = 1.0  # of each kind of network call


def pilot(
    context: StageContext, config: Config, corpus: Corpus, net: TrainedNet | None
) -> tuple[Config, TrainedNet | None]:
    """`generate.method: auto` -> the method that suits these images, in pilot/ and in the ledger.

    Gives the config with that method, and the network where it needs one. Other methods need no
    pilot, and pass unchanged.

    Raises:
        ConfigError: features that cannot be had.
        Interrupted: a stop was asked for; the same command makes the pilot again.
    """
    job, ledger = context.job, context.ledger
    if config.generate.method != "auto":
        return config, net
    assert net is not None, "auto trains a network"
    if context.role is Role.FOLLOWER:
        _wait_for_choice(context, config)
    else:
        inputs = inputs_of_pilot(config, ledger)
        if context.is_stale("pilot", inputs, _exists(context)):
            check_pixels(corpus)
            made = _pilot_inputs(context, config, corpus, net)
            watched = Stoppable(job.progress, job.stopping)
            record = piloting.pilot(config.pilot, made, job.files.pilot, watched)
            decision = record.decision
            ledger.record(
                "pilot",
                inputs,
                choice=decision.choice,
                options=dict(record.options),
                reason=decision.reason,
                record_sha256=sha256_file(job.files.pilot_record),
            )
            job.progress.note(f"pilot:\n{record.as_text()}")
        if context.role is Role.LEADER:
            launch.wait_for_all(job.device)
    chosen = decided(config, ledger)
    return chosen, net if chosen.generate.needs_network else None


def _pilot_inputs(
    context: StageContext, config: Config, corpus: Corpus, net: TrainedNet
) -> piloting.PilotInputs:
    job, device = context.job, torch.device(context.job.device)
    kind = context.ledger.device_type(device_type(job.device))
    candidates = candidate_configs(config, corpus.images.shape[1], kind)
    rows = draw_rows(corpus.planned_sources, config.generate, config.pilot.rows, config.seed)
    rows = without_keys(rows, corpus.forgotten)
    means = open_means(job.files, corpus, None)
    real = rows_where(corpus.sources, status="train")
    encodings = Encodings()

    def execute(rows: pa.Table, options: GenerateConfig) -> Iterator[GeneratedBatch]:
        assert isinstance(options.batch, int)
        # Compiling would take longer than so few images.
        size = balanced_batch(options.batch, rows.num_rows, rows.num_rows)
        options = options.model_copy(update={"batch": size, "compile": "off"})
        uses = means if options.needs_means else None
        digest = None if uses is None else uses.sha256
        recipe = Recipe.from_config(options, net.facts, corpus.digest, digest)
        make = partial(generate, images=corpus.images, recipe=recipe, net=net, device=device)
        return make(rows, means=uses, encodings=encodings, stopping=job.stopping)

    return piloting.PilotInputs(
        rows=rows,
        images=corpus.images,
        training_rows=np.sort(real["row"].to_numpy()),
        reference=corpus.reference,
        candidates=candidates,
        seconds=_estimate(config, candidates, corpus, net, job.device),
        execute=execute,
        evaluate=config.evaluate,
        config=config.generate,
        seed=config.seed,
        feature_folder=job.files.feature_cache,
    )


def _estimate(
    config: Config,
    candidates: dict[str, GenerateConfig],
    corpus: Corpus,
    net: TrainedNet,
    device: str,
) -> dict[str, float]:
    """Seconds of one image of each candidate, from a short probe of the network."""
    score, some = FrozenScore(net.net, net.sigma_1, net.sigma_N), next(iter(candidates.values()))
    net.net.compute_in(some.precision)
    batch = some.batch
    assert isinstance(batch, int)
    places = np.arange(batch) % len(corpus.images)
    x = to_unit(np.asarray(corpus.images[places]), torch.device(device))
    speed = probe_network(x, score, sigma_at(0.5, net.sigma_1), device, _PROBE_SECONDS)
    images = corpus.images
    return speed.of_candidates(candidates, config.pilot.rows, len(images), images[0].size)


def _wait_for_choice(context: StageContext, config: Config) -> None:
    def is_done() -> bool:
        inputs = inputs_of_pilot(config, context.ledger)
        return context.ledger.why_stale("pilot", inputs) is None and _exists(context)

    wait_for_leader(context, is_done, "compares methods")


def _exists(context: StageContext) -> bool:
    """Whether pilot.json is there as it was written, for a run that needs it.

    The choice is in the ledger: a stage that runs alone does not need the files.
    """
    path = context.job.files.pilot_record
    digest = context.ledger.outcome("pilot").get("record_sha256")
    return context.job.only is not None or (path.is_file() and digest == sha256_file(path))
