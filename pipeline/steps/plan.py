"""The step `plan`: is the plan stale, draw it again, record what it was drawn from."""

from ...manifests.files.atomic import write_parquet
from ...manifests.plan.plan import rows_digest
from ...models.network.checkpoint import TrainedNet
from ...stages.corpus.store import Corpus
from ...stages.generate.recipe import check_guide_differs
from ...stages.write.tasks import plan_shards
from .. import environment, launch
from ..config import Config
from ..decided import chosen_because
from ..fewer_rounds import refuse_fewer_rounds
from ..fingerprints import inputs_of_plan
from ..job import Role, StageContext
from ..means import means_sha256_of
from ..new_classes import new_classes_of
from ..planned import Planned, draw_plan, planned_of, read_plan, recipe_of, without_keys
from ..refused_options import check_makes_a_difference
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
            kept = without_keys(rows, corpus.forgotten)
            tasks = plan_shards(kept, recipe.for_real_images().digest, recipe.digest)
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
