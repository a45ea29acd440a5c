"""What of a run is left to do: steps of its training, shards of its plan."""

from typing import NamedTuple

from ..manifests.errors import ScoreMixError
from ..manifests.published.names import SHARD_FILE
from ..manifests.run_folder import RunFolder
from ..stages.corpus.store import Corpus, open_corpus
from ..stages.generate.recipe import check_guide_differs
from ..stages.ingest.preview import IngestPreview
from ..stages.train.checkpoint import resumable_state
from ..stages.train.identity import identity_of
from ..stages.write.tasks import ShardTask
from .class_estimate import is_recognised
from .config import Config
from .decided import decided
from .fingerprints import (
    inputs_of_evaluate,
    inputs_of_ingest,
    inputs_of_pilot,
    inputs_of_plan,
    inputs_of_train,
    inputs_of_write,
)
from .job import Job
from .ledger import Ledger
from .means import means_sha256_of
from .new_classes import needs_new_classes, new_classes_of
from .planned import Planned, plan_anew, recipe_of
from .refused_options import check_guide
from .shards.stores import open_shards
from .trained_network import is_trained, read_model_facts


class ShardsLeft(NamedTuple):
    """The shards of a plan that are not finished."""

    missing: int  # of so many `shards`
    shards: int
    images: float  # share of the plan's images that are in missing shards
    made: float  # the same of those that are made, beside the real ones
    is_evaluated: bool  # no shard is missing, and evaluation is up to date


def shards_left(job: Job, config: Config, ledger: Ledger) -> ShardsLeft | None:
    """What `write` will make; None where an earlier stage comes first, so that all of it is left.

    config: resolved. Nothing is changed.
    """
    try:
        now = _planned_now(job, config, ledger)
        if now is None:
            return None
        config, planned = now
        store = open_shards(job.shards, job.folder)
        missing = [task for task in planned.shards if not task.finished(store)]
    except ScoreMixError:
        return None  # the run itself says what is wrong
    stale = (
        ledger.why_stale("plan", inputs_of_plan(config, planned.recipe))
        or ledger.why_stale("write", inputs_of_write(planned))
        or ledger.why_stale("evaluate", inputs_of_evaluate(config, planned))
    )
    return ShardsLeft(
        missing=len(missing),
        shards=len(planned.shards),
        images=_images(missing) / _images(planned.shards),
        made=_made(missing) / max(_made(planned.shards), 1),
        is_evaluated=not missing and stale is None and ledger.has_metrics(),
    )


def shards_replaced(job: Job, left: ShardsLeft | None) -> int:
    """How many shards that lie at the place of the job are not those of its plan.

    left: as `shards_left` gives it; where that is None any of them may be another's, or none.
    """
    try:
        names = set(open_shards(job.shards, job.folder).names())
    except (ScoreMixError, OSError):
        return 0  # the run itself says what is wrong
    markers = [name for name in names if SHARD_FILE.fullmatch(name) and name.endswith(".json")]
    there = sum(f"{name.removesuffix('.json')}.tar" in names for name in markers)
    return there if left is None else max(0, there - (left.shards - left.missing))


def _planned_now(job: Job, config: Config, ledger: Ledger) -> tuple[Config, Planned] | None:
    """The plan of these options, and those with the pilot's choice, if all before it is done."""
    files = job.files
    if ledger.why_stale("ingest", inputs_of_ingest(job.config, ledger)) is not None:
        return None
    corpus = open_corpus(files.corpus)
    network = config.generate.needs_network
    if network and not _is_kept(config, files, ledger, corpus):
        return None
    if config.generate.method == "auto":
        if ledger.why_stale("pilot", inputs_of_pilot(config, ledger)) is not None:
            return None
        config = decided(config, ledger)
    if needs_new_classes(config) and not is_recognised(job, config, ledger):
        return None
    new_classes = new_classes_of(files, config, corpus, ledger)
    model = read_model_facts(files) if config.generate.needs_network else None
    means = means_sha256_of(files, config, corpus, ledger)
    recipe = recipe_of(config, model, corpus, means, new_classes)
    return config, plan_anew(config, corpus, recipe, new_classes)


def _images(tasks: list[ShardTask]) -> int:
    return sum(task.rows.num_rows for task in tasks)


def _made(tasks: list[ShardTask]) -> int:
    """Images of rounds that are made; round 0 has the real ones."""
    return _images([task for task in tasks if task.rows["round"][0].as_py()])


def _is_kept(config: Config, files: RunFolder, ledger: Ledger, corpus: Corpus) -> bool:
    inputs = inputs_of_train(config, corpus.digest, ledger)
    return ledger.why_stale("train", inputs) is None and is_trained(files)


def share_of_training(
    config: Config, files: RunFolder, ledger: Ledger, found: IngestPreview
) -> tuple[float, str]:
    """The share of the steps that `run` will train, and why."""
    steps = config.train.steps
    ingest = ledger.why_stale("ingest", inputs_of_ingest(config, ledger))
    if not ledger.outcome("ingest"):
        check_guide(config)
        return 1.0, str(ingest)
    digest = ledger.outcome("ingest")["digest"]
    again = ledger.why_stale("train", inputs_of_train(config, digest, ledger))
    if ingest is not None:
        if not _may_come_again(files, found):
            return 1.0, f"ingest {ingest}; another corpus comes out"
        kept = again is None and is_trained(files)
        then = "the network is kept" if kept else "an earlier training may go on"
        return 1.0, f"ingest {ingest}; {then} if the same corpus comes out"
    if again is None and is_trained(files):
        check_guide_differs(config.generate, read_model_facts(files))
        return 0.0, "up to date, the network is kept"
    check_guide(config)
    why, step = again or "its files are gone", resumed_step(config, files, digest)
    if not step:
        return 1.0, why
    assert steps is not None
    return (steps - step) / max(steps, 1), f"{why}; it goes on from step {step:,}"


def resumed_step(config: Config, files: RunFolder, digest: str) -> int:
    """The step from which the training of `config` (resolved) would go on; 0: the first.

    digest: of the corpus.
    """
    assert config.train.steps is not None and config.generate.highest_t0 is not None
    identity = identity_of(config.train, digest, config.seed, config.generate.highest_t0)
    state = resumable_state(files.training_state, identity, at_most=config.train.steps)
    return state.step if state else 0


def _may_come_again(files: RunFolder, found: IngestPreview) -> bool:
    """Whether ingest may reproduce the present corpus, judging by counts."""
    try:
        corpus = open_corpus(files.corpus)
    except ScoreMixError:
        return False
    if corpus.images.shape[1] != found.resolution or corpus.forgotten:
        return False
    least, counts = len(corpus.images), corpus.counts
    # Only decoding shows which images are damaged or duplicates.
    return least <= found.training <= least + counts["rejected"] + counts["duplicate"]
