"""ShardBuilder: makes the shards of a plan from corpus, network and device."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch

from ...manifests.files.rows import rows_where
from ...manifests.plan.methods import CLASS_METHODS
from ...manifests.plan.plan import uses_soft_labels
from ...manifests.published.card import CorpusFacts
from ...manifests.published.publish import Published, publish
from ...manifests.run_folder import RunFolder
from ...manifests.shards.shard import Marker
from ...manifests.storage.store import Store
from ...models.network.checkpoint import TrainedNet
from ...stages.common.progress import Advance
from ...stages.corpus.store import Corpus
from ...stages.evaluate.variant_catalogue import Changes
from ...stages.evaluate.variants import Variation
from ...stages.generate import generate as generating
from ...stages.generate.encodings import Encodings
from ...stages.generate.means import MeanImages
from ...stages.generate.mixtures import ClassMixtures, class_mixtures
from ...stages.generate.recipe import Recipe
from ...stages.images.png import select_encoder
from ...stages.sources.spec import BUNDLED
from ...stages.write import write as writing
from ...stages.write.tasks import ShardTask
from ..config import Config
from ..means import open_means
from ..planned import Planned
from .room import estimate_sample_bytes


@dataclass(frozen=True)
class ShardBuilder:
    """Makes any shard of a plan; its bytes do not depend on the process or the moment."""

    run: Path  # the run folder
    config: Config  # resolved
    corpus: Corpus
    net: TrainedNet | None  # None for a method without a score network
    planned: Planned
    device: str
    stopping: Callable[[], bool] = lambda: False

    @cached_property
    def means(self) -> MeanImages:
        """The mean images of the corpus and its classes."""
        return open_means(RunFolder(self.run), self.corpus, self.planned.recipe.means_sha256)

    @cached_property
    def mixtures(self) -> ClassMixtures | None:
        """What each class is made of, for methods that make images class by class."""
        if self.planned.recipe.method not in CLASS_METHODS:
            return None
        return class_mixtures(len(self.corpus.classes), self.planned.new_classes)

    @cached_property
    def encodings(self) -> Encodings:
        """Training images as method `bridge` has encoded them so far."""
        return Encodings()

    @cached_property
    def generate(self) -> Callable[[pa.Table], Iterator[generating.GeneratedBatch]]:
        """Plan rows of one kind -> finished images, a micro-batch at a time."""
        return self._generate_by(self.planned.recipe)

    def variation(self) -> Variation | None:
        """How rows are made with other options; None without a score network, or where images are
        made class by class, of which other methods know nothing."""
        if self.net is None or self.config.generate.by_class:
            return None
        generate, net, corpus = self.config.generate, self.net, self.corpus

        def execute(rows: pa.Table, changes: Changes) -> Iterator[generating.GeneratedBatch]:
            batch = {"batch": self.planned.recipe.micro_batch}
            changed = generate.model_copy(update=batch | dict(changes))
            means = self.means.sha256 if changed.needs_means else None
            recipe = Recipe.from_config(changed, net.facts, corpus.digest, means)
            return self._generate_by(recipe)(rows)

        return Variation(generate, execute)

    def _generate_by(
        self, recipe: Recipe
    ) -> Callable[[pa.Table], Iterator[generating.GeneratedBatch]]:
        return partial(
            generating.generate,
            images=self.corpus.images,
            recipe=recipe,
            net=self.net,
            means=None if recipe.means_sha256 is None else self.means,
            mixtures=self.mixtures,
            encodings=self.encodings,
            device=torch.device(self.device),
            stopping=self.stopping,
        )

    def write(
        self,
        task: ShardTask,
        batches: Iterator[generating.GeneratedBatch],
        shards: Path,
        temporary: Path,
        advance: Advance,
    ) -> Marker:
        """Writes the shard of these images and commits it in the folder `shards`."""
        return writing.write(
            task,
            batches,
            self.parents,
            shards,
            temporary,
            advance,
            self.environment,
            select_encoder(self.config.write.encoder),
        )

    def probe(self) -> None:
        """Tries the memory of a GPU with one micro-batch, before any shard is begun."""
        augmented = pc.equal(self.planned.rows["kind"], "augmented")
        rows = self.planned.rows.filter(augmented).slice(0, 1)
        if self.device != "cpu" and rows.num_rows:
            for _ in self._generate_by(self.planned.recipe.with_fewest_steps())(rows):
                pass

    def estimate_bytes(self, tasks: list[ShardTask]) -> int:
        """About how many bytes these shards will take, from some training images."""
        each = estimate_sample_bytes(self.config, self.corpus.images)
        return int(sum(task.rows.num_rows for task in tasks) * each)

    @cached_property
    def environment(self) -> dict[str, str]:
        """Libraries and device that can affect bytes; markers record them."""
        return writing.describe_environment(torch.device(self.device))

    def publish(self, shards: Path | Store, temporary: Path | None = None) -> Published:
        """Makes the finished shards a corpus: see manifests.published.publish."""
        tasks = self.planned.shards
        expected = {task.name: (task.rows_digest, task.recipe_digest) for task in tasks}
        rows, facts = self.planned.rows, self.facts()
        return publish(shards, rows, expected=expected, facts=facts, temporary=temporary)

    @cached_property
    def parents(self) -> writing.SampleSources:
        """What samples record of their parents."""
        sources = self.corpus.planned_sources
        trained = rows_where(sources, status="train").sort_by("row")
        soft = uses_soft_labels(sources, self.config.generate.pairing)
        return writing.SampleSources(
            sha256=trained["sha256"].to_pylist(),
            license=trained["license"].to_pylist(),
            class_id=trained["class_id"].to_pylist(),
            classes=len(self.corpus.classes) if soft else 0,
        )

    def facts(self) -> CorpusFacts:
        """What the dataset card records of the corpus as a whole."""
        corpus, ingest = self.corpus, self.config.ingest
        status = corpus.sources["status"].to_pylist()
        licences = {name for name in corpus.sources["license"].to_pylist() if name}
        return CorpusFacts(
            # Not the source folder's name: equal images give equal shards wherever they lay.
            name=next((name for name in BUNDLED if name == ingest.source), "images"),
            classes=(*corpus.classes, *(one.name for one in self.planned.new_classes)),
            resolution=corpus.images.shape[1],
            channels=corpus.images.shape[3],
            recipe=self.planned.recipe.as_json(),
            chosen_because=self.planned.chosen_because,
            new_classes=self.planned.new_classes,
            licences=tuple(sorted(licences)),
            inputs={word: status.count(word) for word in sorted(set(status))},
        )
