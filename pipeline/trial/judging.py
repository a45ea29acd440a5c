"""Judges what a trainer left: the figures of every snapshot, of a translation pair by pair."""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, InputError
from ...manifests.foreign_text import first_names
from ...manifests.run_folder import RunFolder
from ...models.features.errors import FeaturesError
from ...models.metrics.perceptual import Lpips
from ...models.metrics.prdc import K
from ...stages.common.progress import Silent
from ...stages.evaluate.number_format import round_floats
from ...stages.evaluate.optional_metrics import open_lpips
from ...stages.gan_samples.pairs import Pair, output_diversity, rows_by_pair
from ...stages.gan_samples.read import Samples, open_samples
from ...stages.gan_samples.sets import SampleSet, find_sets
from ...stages.trial.config import TrialConfig
from ...stages.trial.judge import Judge, best_snapshot, open_judge
from ...stages.trial.one import KEPT_SAMPLES, keep_samples, some_of
from ...stages.trial.one_shot import OneShotJudge, open_one_shot_judge
from ..finished_run import FinishedRun
from ..trial_gan import trains_with_flips
from ..trial_trainer import ChosenTrainer, is_one_shot

MIN_SAMPLES = 30  # of a snapshot, as of each half of the held-out images
_LISTED = 3  # sizes that a note names
_OPTION = "trial.generated"  # that names the place of the samples
_PAIRS_ALGORITHM = 1  # raised whenever equal samples would give other figures of pairs


@dataclass(frozen=True)
class Judged:
    """The figures of what a GAN left."""

    snapshots: list[dict[str, Any]]  # in order; one at least
    notes: list[str]  # what to know of them, such as a snapshot that was left out


@dataclass(frozen=True)
class _Measured:
    """The figures of one set of samples, and some of these."""

    figures: dict[str, Any]
    samples: NDArray[np.uint8]  # (n, H, W, C)
    notes: list[str]


@dataclass(frozen=True)
class SampleJudge:
    """How the samples of a trial's trainer are judged."""

    trainer: ChosenTrainer
    run: FinishedRun
    config: TrialConfig
    judges: dict[int | None, Judge]  # target class -> its judge; None: of all images
    lpips: Lpips | None  # of translations, where its weights are named
    one_shot: OneShotJudge | None = None  # instead of the judges, of one image's translation

    @property
    def features(self) -> dict[str, Any]:
        """The network of the distances."""
        if self.one_shot is not None:
            return self.one_shot.features
        return dict(next(iter(self.judges.values())).features)

    @property
    def translation(self) -> dict[str, Any] | None:
        """What the figures of pairs depend on, beside the samples; None without a translation."""
        if not self.translates or self.one_shot is not None:
            return None
        lpips = None if self.lpips is None else self.lpips.describe()
        return {"algorithm": _PAIRS_ALGORITHM, "lpips": lpips}

    @property
    def translates(self) -> bool:
        """Whether the trainer translates between classes."""
        return self.trainer.preset is not None and self.trainer.preset.translates

    @property
    def targets(self) -> list[str]:
        """The classes that are translated into, as their samples follow each other."""
        classes = self.run.corpus.classes
        if self.one_shot is not None:
            return [classes[1]]
        return [classes[target] for target in self.judges if target is not None]

    def place(self, out: Path) -> Path:
        """Where a GAN's samples lie, below its own folder."""
        return out / self.trainer.generated

    def judge(self, place: Path, folder: Path, identity: str) -> Judged:
        """The figures of every set of samples below `place`, in order.

        Of a translation the means over its target classes, and each pair. A set that cannot be
        judged is left out, with a note. Some samples of the best set are kept in `folder`, beside
        the result of this identity.

        Raises:
            ConfigError, InputError, ValueError: no set can be judged.
        """
        snapshots: list[dict[str, Any]] = []
        notes: list[str] = []
        wrong: Exception | None = None
        for number, one in enumerate(self._sets(place), start=1):
            try:
                measured = self._measured(one)
            except (ConfigError, InputError, ValueError) as error:
                wrong = error
                notes.append(f"the snapshot {one.name} was left out: {str(error).rstrip('.')}")
                continue
            at: dict[str, Any] = {"step": number, "name": one.name}
            if self.trainer.preset is not None:
                at["images"] = int(one.name)
            snapshots.append(at | round_floats(measured.figures))
            notes += [note for note in measured.notes if note not in notes]
            if best_snapshot(snapshots) is snapshots[-1]:
                keep_samples(folder, identity, measured.samples)
        if wrong is not None and not snapshots:
            raise wrong
        return Judged(snapshots, notes)

    def _measured(self, one: SampleSet) -> _Measured:
        """The figures of one set, and some of its samples."""
        if self.one_shot is not None:
            with self._open(replace(one, path=one.path / "to-1")) as samples:
                some = some_of(samples.images, KEPT_SAMPLES, self.run.config.seed)
                count = {"n": len(samples.images)}
                return _Measured(
                    self.one_shot.measure(samples.images) | count, some, _notes(samples)
                )
        measured, made, pairs = [], [], list[dict[str, Any]]()
        counts, notes = list[int](), list[str]()
        share = KEPT_SAMPLES // len(self.judges)
        for target, judge in self.judges.items():
            part = one if target is None else replace(one, path=one.path / f"to-{target}")
            with self._open(part) as samples:
                _check_count(part, len(samples.images), K + 1 if self.translates else MIN_SAMPLES)
                counts.append(len(samples.images))
                notes += _notes(samples)
                vectors = judge.vectors(samples.images)
                measured.append(judge.figures(samples.images, vectors))
                made.append(some_of(samples.images, share, self.run.config.seed))
                if target is not None:
                    pairs += self._pairs(samples, vectors, target, judge)
        figures: dict[str, Any] = {
            name: fmean(each[name] for each in measured) for name in measured[0]
        }
        more = {"n": sum(counts)} | ({"pairs": pairs} if self.translates else {})
        least = min(map(len, made))  # of each target as many, one after the other
        best = np.concatenate([some[:least] for some in made])
        return _Measured(figures | more, best, notes)

    def _sets(self, place: Path) -> list[SampleSet]:
        if self.trainer.preset is None:
            return find_sets(place, None, tuple(self.run.corpus.classes), _OPTION)
        return _numbered(place)

    def _open(self, samples: SampleSet) -> Any:
        run, shape = self.run, self.run.corpus.images.shape
        return open_samples(
            samples,
            run.config.ingest.preparation(shape[1], gray=shape[3] == 1),
            most=self.config.samples,
            seed=run.config.seed,
            scratch=RunFolder(run.folder).internal,
            progress=Silent(),
            single=self.trainer.preset is not None,
        )

    def _pairs(
        self, samples: Samples, vectors: NDArray[np.floating[Any]], target: int, judge: Judge
    ) -> list[dict[str, Any]]:
        """The figures of every pair with this target; none where one has a single image."""
        classes = tuple(self.run.corpus.classes)
        rows = self._rows(samples, target)
        if any(len(some) < 2 for some in rows.values()):
            return []
        pairs = []
        for (source, into), some in rows.items():
            pair: dict[str, Any] = {"source": classes[source], "target": classes[into]}
            pair |= {"images": len(some), **judge.distances(vectors[some])}
            if self.lpips is not None:
                names = [samples.names[row] for row in some]
                images, seed = np.asarray(samples.images[some]), self.run.config.seed
                pair["lpips"] = output_diversity(self.lpips, images, names, seed)
            pairs.append(pair)
        return pairs

    def _rows(self, samples: Samples, target: int) -> dict[Pair, NDArray[np.int64]]:
        """Pair -> rows of its images; of two domains all images are of one pair."""
        if len(self.judges) == 1:
            return {(1 - target, target): np.arange(len(samples.images))}
        return rows_by_pair(samples.names, self.run.corpus.classes)


def open_sample_judge(trainer: ChosenTrainer, run: FinishedRun, config: TrialConfig) -> SampleJudge:
    """The judge of all samples; of a translation one for each class that it translates into.

    A GAN that translates nothing would look perfect beside the images of all classes.

    Raises:
        ConfigError: features, or weights of LPIPS, that cannot be had; too few held-out images.
    """
    targets: list[int | None] = [None]
    translates = trainer.preset is not None and trainer.preset.translates
    if translates:
        targets = [1] if trainer.spec.target == "unpaired" else [*range(len(run.corpus.classes))]
    evaluate, seed = run.config.evaluate, run.config.seed
    if is_one_shot(trainer):
        if run.config.ingest.patches is None:
            raise ConfigError(
                f"{trainer.spec.trainer} translates one image into the style of one other, and"
                f" {run.folder} has whole images. Build a corpus of patches of two images"
                " (ingest.patches), or take trial.trainer: cut."
            )
        assert trainer.preset is not None
        needed = trainer.preset.update
        least = int(np.bincount(run.corpus.training_ids[run.corpus.training_rows]).min())
        if least < needed:
            raise ConfigError(
                f"{trainer.spec.trainer} needs {needed} patches of each image, and"
                f" one has {least}: raise ingest.patches.per_image."
            )
        judge = open_one_shot_judge(evaluate, run.corpus, 1)
        return SampleJudge(trainer, run, config, {}, None, judge)
    try:
        lpips = open_lpips(evaluate, run.corpus.images.shape[1]) if translates else None
    except FeaturesError as error:
        raise ConfigError(f"evaluate.lpips: {error}") from error
    flips = knows_flips(trainer, run, config)
    judges = {
        target: open_judge(evaluate, run.corpus, seed, target, flips=flips) for target in targets
    }
    return SampleJudge(trainer, run, config, judges, lpips)


def knows_flips(trainer: ChosenTrainer, run: FinishedRun, config: TrialConfig) -> bool:
    """Whether its GANs see flipped images: a preset's do or not, a command's as trial.flip says."""
    if trainer.preset is not None:
        return trainer.preset.flips
    return trains_with_flips(run.config, config)


def _check_count(one: SampleSet, count: int, least: int) -> None:
    """Raises InputError where a set has too few samples to be judged."""
    if count < least:
        raise InputError(
            f"{one.option} {one.path} holds {count:,} samples, and {least} are needed. Have the"
            " trainer draw more (trial.samples is how many are judged at most)."
        )


def _notes(samples: Samples) -> list[str]:
    """What was done to samples before they were judged; without words of its snapshot, so that
    what holds for all is said once."""
    side = samples.images.shape[1]
    others = [size for size in sorted(samples.sizes) if size != f"{side}x{side}"]
    notes = list(samples.notes)
    if others:
        notes.append(f"samples of {first_names(others, _LISTED)} px were resized to {side} px")
    if samples.left_out:
        name, reason = samples.left_out[0]
        notes.append(
            f"{len(samples.left_out):,} of {len(samples.left_out) + len(samples.images):,} images"
            f" of {samples.name} cannot be read, as {name}: {reason}"
        )
    return notes


def _numbered(place: Path) -> list[SampleSet]:
    """What a preset leaves: folders or .npz files, named by the images shown."""
    found = [path for path in place.iterdir() if path.stem.isdecimal()] if place.is_dir() else []
    if not found:
        raise InputError(f"{place} holds no samples, which the preset should leave there.")
    ordered = sorted(found, key=lambda path: int(path.stem))
    return [SampleSet(path.stem, path, option=_OPTION) for path in ordered]
