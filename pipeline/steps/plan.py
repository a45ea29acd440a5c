"""The step `plan`: is the plan stale, draw it again, record what it was drawn from."""

from collections.abc import Sequence

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import write_parquet
from ...manifests.plan.plan import rows_digest
from ...models.network.checkpoint import TrainedNet
from ...stages.corpus.store import Corpus
from ...stages.generate.config import GenerateConfig
from ...stages.generate.recipe import check_guide_differs
from ...stages.write.tasks import ShardTask, plan_shards
from .. import environment, launch
from ..config import Config
from ..decided import chosen_because
from ..fingerprints import inputs_of_plan
from ..job import Role, StageContext
from ..means import means_sha256_of
from ..new_classes import new_classes_of
from ..planned import Planned, draw_plan, planned_of, read_plan, recipe_of
from ..refused_options import check_makes_a_difference
from ..shards.destination import ShardDestination
from ..shards.open import open_destination


def plan(context: StageContext, config: Config, corpus: Corpus, net: TrainedNet | None) -> Planned:
    """Corpus and options -> plan rows: key, round, shard, parents, lambda, class and seed of each
    image; with the recipe by which they are made.

    Raises ConfigError where the options ask for what this corpus cannot give.
    """
    job = context.job
    if context.role is Role.FOLLOWER:
        launch.wait_for_all(job.device)  # until the leader has planned
        context.ledger.reload()
    leads = context.role is Role.LEADER
    means = means_sha256_of(job.files, config, corpus, context.ledger, write=leads)
    new_classes = new_classes_of(job.files, config, corpus, context.ledger)
    recipe = recipe_of(config, net.facts if net else None, corpus, means, new_classes)
    inputs = inputs_of_plan(config, recipe)
    rows = read_plan(job.files, context.ledger.outcome("plan").get("digest"))
    if context.is_stale("plan", inputs, rows is not None) or rows is None:
        check_makes_a_difference(config)
        if net is not None:
            check_guide_differs(config.generate, net.facts)
        rows = draw_plan(config, corpus, new_classes)
        if leads and job.makes_shards:
            tasks = plan_shards(rows, recipe.for_real_images().digest, recipe.digest)
            destination = open_destination(job.shards, job.folder, job.stopping)
            refuse_fewer_rounds(tasks, config.generate, destination)
        if new_classes and config.generate.extrapolates:
            job.progress.note(
                f"plan: generate.weights are {list(config.generate.weights)}: outside 0 to 1 images"
                " leave the range of the data. write reports the share of values that are cut off"
            )
        write_parquet(job.files.plan, rows)
        digest = rows_digest(rows)
        where = environment.planned_environment(context.ledger, recipe, job.device)
        outcome = {"digest": digest, "rows": rows.num_rows, "environment": where}
        if because := chosen_because(context.resolve(corpus), context.ledger):
            outcome["chosen_because"] = because
        context.ledger.record("plan", inputs, **outcome)
    return planned_of(rows, context.ledger, recipe, corpus, new_classes)


def refuse_fewer_rounds(
    tasks: Sequence[ShardTask], generate: GenerateConfig, destination: ShardDestination
) -> None:
    """Refuses fewer rounds than were made: publishing them would delete finished ones.

    tasks: the shards of the plan. generate: resolved.
    """
    recipes = {task.recipe_digest for task in tasks}
    beyond = destination.unplanned_markers({task.name for task in tasks})
    rounds = [marker.round for marker in beyond if marker.recipe_digest in recipes]
    if rounds:
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
