"""Refuses to make a corpus shorter than it is: publishing it would delete finished rounds."""

from collections.abc import Sequence

from ..manifests.errors import ConfigError
from ..manifests.files.atomic import canonical_digest
from ..stages.corpus.store import Corpus
from ..stages.generate.config import GenerateConfig
from ..stages.write.tasks import ShardTask, plan_shards
from .config import Config, load_config
from .decided import decided
from .job import Job
from .ledger import Ledger
from .new_classes import new_classes_of
from .planned import draw_plan, without_keys
from .shards.destination import ShardDestination
from .shards.open import open_destination

_LENGTHS = ("ratio", "images_per_class")  # of `generate`: how many rounds there are
_DECIDING = ("seed", "train", "recognise", "write")  # beside them and the corpus, what shards hold


def refuse_before_saving(config: Config, corpus: Corpus, job: Job, ledger: Ledger) -> None:
    """As `refuse_fewer_rounds`, of a finished run of the same options but for its length.

    Before the run folder says what was asked now: a refused run stays what it was.
    config: resolved.
    """
    recorded = ledger.stages.get("plan", {}).get("inputs", {})
    of_this_corpus = recorded.get("recipe", {}).get("corpus_digest") == corpus.digest
    if not (of_this_corpus and job.files.config.is_file()):
        return
    try:
        before = load_config(job.files.config, [])
    except ConfigError:
        return  # it is damaged, and written anew
    if not _differ_in_length(config, before):
        return
    if config.generate.method == "auto" and not ledger.outcome("pilot").get("options"):
        return  # its pilot has yet to choose, and the shards are of other options
    config = decided(config, ledger)
    drawn = draw_plan(config, corpus, new_classes_of(job.files, config, corpus, ledger))
    rows = without_keys(drawn, corpus.forgotten)
    tasks = plan_shards(rows, "", canonical_digest(recorded["recipe"]))
    destination = open_destination(job.shards, job.folder, job.stopping)
    refuse_fewer_rounds(tasks, config.generate, destination)


def _differ_in_length(one: Config, other: Config) -> bool:
    """Whether these resolved configs make shards that differ in nothing but the rounds."""
    generate = [
        {name: value for name, value in vars(config.generate).items() if name not in _LENGTHS}
        for config in (one, other)
    ]
    same = generate[0] == generate[1] and all(
        getattr(one, name) == getattr(other, name) for name in _DECIDING
    )
    return same and one.generate != other.generate


def refuse_fewer_rounds(
    tasks: Sequence[ShardTask], generate: GenerateConfig, destination: ShardDestination
) -> None:
    """Refuses fewer rounds than were made of this plan; those of another, as of another seed, are
    replaced.

    tasks: the shards of the plan, without rows of forgotten images. generate: resolved.
    """
    recipes = {task.recipe_digest for task in tasks}
    beyond = destination.unplanned_markers({task.name for task in tasks})
    rounds = [marker.round for marker in beyond if marker.recipe_digest in recipes]
    if rounds and _are_of_this_plan(tasks, destination):
        ratio = max(task.rows["round"][0].as_py() for task in tasks)
        length = f"generate.ratio is {ratio}"
        if generate.by_class:
            length = f"generate.images_per_class is {generate.images_per_class}"
        raise ConfigError(
            f"{length}, but {destination} holds finished rounds up to {max(rounds)} of the same"
            " recipe, which that would delete. They and their plan stay as they are. The first"
            f" {ratio} rounds ARE that corpus: index.json names each shard's round. To have them"
            " alone, use another --out, or remove the other shards yourself."
        )


def _are_of_this_plan(tasks: Sequence[ShardTask], destination: ShardDestination) -> bool:
    """Whether no augmented shard there has a planned one's name and recipe, and other rows."""
    planned = {(task.name, task.recipe_digest): task.rows_digest for task in tasks}
    there = [
        (planned[marker.shard, marker.recipe_digest], marker.rows_digest)
        for marker in destination.unplanned_markers(set())
        if (marker.shard, marker.recipe_digest) in planned
    ]
    return all(asked == found for asked, found in there)
