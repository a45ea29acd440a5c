"""The step `recognise`: are the new classes stale, select them again, record what they rest on."""

from ...manifests.files.atomic import sha256_file
from ...stages.corpus.store import Corpus, check_pixels
from ...stages.recognise import recognise as recognising
from .. import launch
from ..config import Config
from ..fingerprints import inputs_of_recognise
from ..job import Role, StageContext
from ..new_classes import class_request, is_recorded, needs_new_classes
from ..planned import check_plan
from .waiting import wait_for_leader


def recognise(context: StageContext, config: Config, corpus: Corpus) -> None:
    """Corpus -> recogniser/ with the new classes that the plan makes; nothing for other methods.

    Raises:
        ConfigError: too few classes for what is asked for.
        Interrupted: a stop was asked for; the same command goes on from the last state.
        ScoreMixError: the recogniser's loss is not finite, or its state is damaged.
        VerifyError: pixels are damaged.
    """
    if not needs_new_classes(config):
        return
    job, files, ledger = context.job, context.job.files, context.ledger
    inputs = inputs_of_recognise(config, corpus.digest)
    if context.role is Role.FOLLOWER:

        def is_done() -> bool:
            return ledger.why_stale("recognise", inputs) is None and is_recorded(files, ledger)

        wait_for_leader(context, is_done, "trains a recogniser")
        return
    if context.is_stale("recognise", inputs, is_recorded(files, ledger)):
        check_plan(config, corpus)
        check_pixels(corpus)
        recognising.recognise(
            config.recognise,
            corpus,
            files.recogniser,
            class_request(config),
            seed=config.seed,
            device=job.device,
            progress=job.progress,
            stopping=job.stopping,
        )
        ledger.record("recognise", inputs, new_classes_sha256=sha256_file(files.new_classes))
    if context.role is Role.LEADER:
        launch.wait_for_all(job.device)
