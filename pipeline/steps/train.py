"""The step `train`: is the score network stale, train it, record what it was trained on."""

import torch

from ...manifests.errors import VerifyError
from ...manifests.files.atomic import sha256_file
from ...manifests.run_folder import STAGES
from ...models.network.checkpoint import TrainedNet
from ...stages.corpus.store import Corpus, check_pixels
from ...stages.train import train as training
from ..config import Config
from ..fingerprints import inputs_of_train
from ..job import Role, StageContext
from ..long_run import announce_training
from ..planned import check_plan
from ..refused_options import check_guide, check_makes_a_difference
from ..shards.room import check_room_before_training
from ..trained_network import is_trained, open_network


def train(context: StageContext, config: Config, corpus: Corpus) -> TrainedNet | None:
    """Corpus -> score-net/. Gives the network, or None for a method that needs none.

    Every process of one launch calls this: they train together, and the leader records it.

    Raises:
        TrainingDiverged: a loss is not finite; the weights before that update are kept.
        ConfigError: no plan can be made of this corpus (checked before the training).
        VerifyError: pixels or model.json are damaged.
        StorageError: the shards will not fit (checked before the training).
        Interrupted: a stop was asked for, and the same command goes on from the last state; or a
            run of more than an hour was declined.
    """
    job, files = context.job, context.job.files
    if not config.generate.needs_network:
        context.skip("train", f"{config.generate.method} needs no score network")
        return None
    inputs = inputs_of_train(config, corpus.digest, context.ledger)
    if context.is_stale("train", inputs, is_trained(files)):
        assert config.generate.highest_t0
        check_plan(config, corpus)
        check_makes_a_difference(config)
        check_guide(config)
        check_pixels(corpus)
        if STAGES.index(job.until) >= STAGES.index("write"):
            check_room_before_training(config, corpus, job.shards)
        announce_training(context, config, corpus)
        training.train(
            config.train,
            corpus,
            files.network,
            seed=config.seed,
            t0=config.generate.highest_t0,
            device=job.device,
            progress=job.progress,
            stopping=job.stopping,
        )
        if context.role is Role.LEADER:
            weights, facts = sha256_file(files.model_weights), sha256_file(files.model_facts)
            inputs = inputs_of_train(config, corpus.digest)  # of this version
            context.ledger.record("train", inputs, weights_sha256=weights, facts_sha256=facts)
    else:
        _check_facts(context)
    return open_network(files, torch.device(job.device))


def _check_facts(context: StageContext) -> None:
    """Refuses a changed model.json: recipes contain it, so every shard would be made again."""
    path, known = context.job.files.model_facts, context.ledger.outcome("train").get("facts_sha256")
    if known is not None and sha256_file(path) != known:
        raise VerifyError(
            f"{path} was changed after it was written. Restore it; or delete it and run the same"
            " command again: the network is then trained again, and the shards made anew."
        )
