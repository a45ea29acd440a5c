"""Arms by other methods: corpora whose images are made for the comparison alone.

RUN/recognition/made/RECIPE/shards/   images by one recipe, as a run would write them
RUN/recognition/made/RECIPE/rate.json how long they took

Several processes on one comparison share the shards; images that the run's own shards hold, or an
arm with more images of each class, are taken from there.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ...manifests.errors import ConfigError, LockedError
from ...manifests.files.atomic import canonical_digest, read_parquet, write_json
from ...manifests.files.durable import make_folder
from ...manifests.files.json_reader import parse_json
from ...manifests.files.rows import rows_where
from ...manifests.plan.class_plan import classes_with_images
from ...manifests.plan.methods import NEW_CLASS_METHODS
from ...manifests.plan.new_classes import NewClass
from ...manifests.plan.plan import rows_digest
from ...manifests.run_folder import RunFolder
from ...manifests.storage.store import store_of
from ...models.network.device import device_type
from ...stages.generate.config import CONDITIONED, GenerateConfig
from ...stages.recognise.recognise import LabelledRows
from ...stages.recognition.arms import MadeFor
from ...stages.trial.arm_corpus import ArmCorpus, open_arm
from ..finished_run import FinishedRun
from ..job import Job
from ..launch import Worker
from ..other_options import builder_by, check_has_network, other_options
from ..progress import ProgressReporter
from ..shards.builder import ShardBuilder
from ..shards.local import LocalDestination
from ..shards.worker import ShardWorker
from ..trained_network import read_model_facts
from .corpora import COLUMNS, MadeImages, write_labelled
from .selection import ClassSelector

_SAME = ("class_id", "source_1", "source_2", "lambda", "seed")  # of a plan's row and an image's
_NAMED = 16  # digits of a recipe's digest in the name of its folder


@dataclass(frozen=True)
class ArmMaker:
    """Makes the arms by other methods of one comparison."""

    run: FinishedRun
    folder: Path  # of the comparison
    device: str
    selector: ClassSelector
    stopping: Callable[[], bool]
    progress: ProgressReporter

    def corpus(self, made: MadeFor) -> tuple[ArmCorpus, float | None]:
        """The labelled training images and the images of a method; on disk.

        With the seconds that 10,000 of these took; None for those of the run's shards.

        Raises:
            ConfigError: the run's network, classes or options do not suit the method.
            Interrupted: a stop was asked for; the same command goes on.
            ScoreMixError: what making images raises.
        """
        builder, corpus = self._builder(made), self.run.corpus
        recipe, real = builder.planned.recipe, LabelledRows.of(corpus)
        planned = builder.planned.rows
        rows = rows_where(planned, kind="augmented")
        digest = canonical_digest(
            [corpus.digest, real.rows.tolist(), recipe.digest, rows_digest(rows)]
        )
        home = self.folder / "made" / recipe.digest[:_NAMED]
        found = open_arm(made.name, self.folder / "arms" / made.name, digest)
        if found is None:
            images = self._there(home, rows, recipe.digest)
            if images is None:
                self._make(builder, home, made.name)
                images = self._there(home, rows, recipe.digest)
            if images is None:
                raise LockedError(
                    f"Images of {home} were replaced by a comparison with other options meanwhile."
                    " Run one after the other."
                )
            found = write_labelled(
                made.name, digest, corpus, images, self.folder, self.stopping, self.progress
            )
        return found, _rate(home)

    def _builder(self, made: MadeFor) -> ShardBuilder:
        """Plan and recipe of the arm's images."""
        run = self.run
        options = self._options(made)
        check_has_network(run, options)
        if made.method in CONDITIONED:
            _check_conditioned(run, made)
        new: tuple[NewClass, ...] = ()
        if made.method in NEW_CLASS_METHODS:
            again = made.selection == "again"
            better = self.corpus(replace(made, selection=None))[0] if again else None
            new = self.selector.select(made, better)
        return builder_by(run, options, self.device, self.stopping, new)

    def _options(self, made: MadeFor) -> GenerateConfig:
        """The run's options with the arm's changes.

        `reproduce` makes as many classes again as the others make new ones, all at most.
        """
        run, generate = self.run, self.run.config.generate
        kind = run.ledger.device_type(device_type(self.device))
        classes = made.new_classes or generate.new_classes
        if made.method == "reproduce" and classes is not None:
            real = len(classes_with_images(run.corpus.sources))
            if made.new_classes is not None and classes > real:
                raise ConfigError(
                    f"The arm {made.name} makes {classes} of the real classes again, and there are"
                    f" {real}. Name {real} or fewer, or none for all."
                )
            classes = min(classes, real)
        changes = {
            "method": made.method,
            "images_per_class": made.images_per_class or generate.images_per_class,
            "new_classes": classes,
        }
        if made.method == "mixup-classes" and len(generate.weights) != 2:
            raise ConfigError(
                f"The arm {made.name} mixes the pixels of two images, and generate.weights of"
                f" {run.folder} are {list(generate.weights)}. Leave the arm out, or make a run with"
                " two weights."
            )
        return other_options(run.config, changes, run.corpus.images.shape[1], kind)

    def _there(self, home: Path, rows: pa.Table, recipe_digest: str) -> MadeImages | None:
        """The images of these plan rows, where all are in the run's shards or in `home`."""
        if self.run.planned.recipe.digest == recipe_digest and self._own is not None:
            found = _of_rows(self._own, rows, recipe_digest)
            if found is not None:
                return found
        shards = home / "shards"
        markers = LocalDestination(shards, home).unplanned_markers(set())
        tables = [
            read_parquet(shards / f"{marker.shard}.parquet").select(COLUMNS)
            for marker in sorted(markers, key=lambda marker: marker.shard)
        ]
        if not tables:
            return None
        made = MadeImages(store_of(shards), pa.concat_tables(tables).combine_chunks())
        return _of_rows(made, rows, recipe_digest)

    @cached_property
    def _own(self) -> MadeImages | None:
        """The made images of the run's shards; None where they are not finished."""
        try:
            return MadeImages.of(self.run.folder)
        except ConfigError:
            return None

    def _make(self, builder: ShardBuilder, home: Path, name: str) -> None:
        """Writes the shards of the arm's images that are missing, beside other processes."""
        ready = builder
        if builder.config.generate.needs_network:
            ready = self.run.with_network(builder)
        job = Job(self.run.config, home, home / "shards", self.device, self.progress, self.stopping)
        make_folder(home / "shards")
        destination = LocalDestination(home / "shards", home)
        tasks = [task for task in builder.planned.shards if task.rows["round"][0].as_py()]
        worker = ShardWorker(tasks, destination, job, Worker(0, 1))
        destination.check_room(ready, [one for one in tasks if not destination.finished(one)])
        begin, count = time.monotonic(), 0
        with (
            self.progress.task(f"arm {name}", worker.count_missing_images(), "images") as advance,
            closing(worker.lock_missing_shards(advance, wait=True)) as missing,
        ):
            for task in missing:
                destination.write_shard(ready, task, ready.generate(task.rows), advance)
                count += task.rows.num_rows
        if count:
            seconds = 10_000 * (time.monotonic() - begin) / count
            write_json(home / "rate.json", {"seconds_per_10000": round(seconds, 2)})


def _check_conditioned(run: FinishedRun, made: MadeFor) -> None:
    """Raises ConfigError unless the run's network knows the classes, over the whole ladder."""
    facts, train = read_model_facts(RunFolder(run.folder)), run.config.train
    if not facts["architecture"].get("classes"):
        raise ConfigError(
            f"The arm {made.name} needs classes in the score network, and that of {run.folder} has"
            " none. Leave the arm out, or make a run with generate.method: compose, or with"
            " train.labels: true."
        )
    focus = train.focused_on(run.config.generate.highest_t0)
    if focus is not None and focus < 1:
        raise ConfigError(
            f"The arm {made.name} begins with pure noise, and the network of {run.folder} learned"
            f" mostly levels below t0 {focus:g} (train.levels: focus). Leave the arm out, or make a"
            " run with generate.method: compose."
        )


def _of_rows(made: MadeImages, rows: pa.Table, recipe_digest: str) -> MadeImages | None:
    """The images of these plan rows, in their order; None where one is missing or is another."""
    same = rows_where(made.rows, recipe_digest=recipe_digest)
    places = pc.index_in(rows["key"], value_set=same["key"].combine_chunks())
    if places.null_count:
        return None
    taken = same.take(places)
    if any(taken[name].to_pylist() != rows[name].to_pylist() for name in _SAME):
        return None
    return MadeImages(made.store, taken)


def _rate(home: Path) -> float | None:
    try:
        return float(parse_json((home / "rate.json").read_bytes())["seconds_per_10000"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
