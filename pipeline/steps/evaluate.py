"""The step `evaluate`: are the metrics stale, measure again, record what was measured."""

from typing import Any

import pyarrow as pa
import torch

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import sha256_file
from ...manifests.files.json_reader import parse_json
from ...manifests.plan.random_streams import some_rows
from ...manifests.storage.store import store_of
from ...stages.corpus.store import check_pixels
from ...stages.evaluate import evaluate as evaluating
from ...stages.report.page import write_report
from ...stages.train.validation import real_norms
from ..fingerprints import command_to_train_longer, inputs_of_evaluate
from ..job import StageContext
from ..progress import Stoppable
from ..shards.builder import ShardBuilder
from .ingest import save_config

_NORM_IMAGES = 1000  # held-out images whose score norm is measured, at most


def evaluate(context: StageContext, builder: ShardBuilder, manifest: pa.Table) -> dict[str, Any]:
    """Shards and held-out images -> report/. Gives the verdict as in metrics.json, and its advice.

    manifest: of the published corpus, whose measured norms and classes are compared.
    """
    job, files = context.job, context.job.files
    config, corpus, net, planned = builder.config, builder.corpus, builder.net, builder.planned
    inputs = inputs_of_evaluate(config, planned)
    if context.is_stale("evaluate", inputs, context.ledger.has_metrics()):
        check_pixels(corpus)
        norms = None
        if net is not None and len(corpus.reference):
            rows = some_rows(len(corpus.reference), _NORM_IMAGES, config.seed, "norms of held-out")
            held_out, labels = corpus.reference[rows], corpus.reference_ids[rows]
            net.net.compute_in(planned.recipe.precision)
            norms = real_norms(net.net, net.sigma_1, held_out, labels, torch.device(job.device))
        evaluation = evaluating.EvaluationInputs(
            plan=planned.rows,
            manifest=manifest,
            images=corpus.images,
            reference=corpus.reference,
            execute=builder.generate,
            reference_norms=norms,
            seed=config.seed,
            train_more=command_to_train_longer(files, config, net.facts if net else None),
            reference_ids=corpus.reference_ids,
            classes=corpus.classes,
            new_classes=planned.new_classes,
            feature_folder=files.feature_cache,
            variation=builder.variation(),
        )
        watched = Stoppable(job.progress, job.stopping)
        evaluating.evaluate(config.evaluate, evaluation, files.report, watched)
        _report(context)  # first: a kill in between leaves an evaluation that is made again
        context.ledger.record("evaluate", inputs, metrics_sha256=sha256_file(files.metrics))
    save_config(context.resolve(corpus), files)  # `auto` stays: a new network has a new pilot
    metrics = parse_json(files.metrics.read_text())
    advice = metrics.get("answers", {}).get("sentence")  # runs of earlier versions have none
    verdict: dict[str, Any] = metrics["verdict"] | {"advice": advice}
    return verdict


def _report(context: StageContext) -> None:
    """Draws the page where its packages are installed; the metrics are complete without it."""
    try:
        write_report(context.job.folder, store_of(context.ledger.place()))
    except ConfigError as error:
        context.job.progress.note(f"report: {error}")
