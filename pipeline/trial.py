"""The trial of a run: its arms are made, its GANs trained, its table written.

RUN/trial/arms/NAME/         each arm's images
RUN/trial/gans/NAME/seed-K/  each GAN: state, snapshots.jsonl, result.json
RUN/trial/trial.json, table.txt, curves.svg
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from ..manifests.errors import ConfigError
from ..manifests.files.atomic import canonical_digest, write_bytes, write_json
from ..manifests.plan.plan import PlanOptions, build_plan, resolve_pairing, rows_digest
from ..manifests.run_folder import RunFolder
from ..models.gan.networks import GanShape
from ..models.network.checkpoint import TrainedNet
from ..models.network.device import device_type
from ..stages.common.presets import balanced_batch, trunk_precision
from ..stages.common.progress import Progress
from ..stages.corpus.store import check_pixels
from ..stages.evaluate.number_format import round_floats
from ..stages.generate.config import GenerateConfig
from ..stages.generate.generate import generate
from ..stages.generate.recipe import Recipe
from ..stages.trial.arm_corpus import ArmCorpus, open_arm, write_arm
from ..stages.trial.arms import OWN, Arm, parse_arm
from ..stages.trial.config import TrialConfig
from ..stages.trial.gan_run import GanOptions
from ..stages.trial.outcome import ArmOutcome, conclusion, outcomes, trial_table
from ..stages.trial.trial import TrialSpec, run_trial
from .config import Config
from .finished_run import FinishedRun
from .means import open_means
from .planned import without_keys
from .trained_network import open_network

_CHUNK = 1024  # training images copied at once

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class TrialReport:
    """What a trial found, and where its files are."""

    folder: Path
    arms: list[ArmOutcome]
    text: str  # the conclusion, in sentences

    def as_text(self) -> str:
        """The table and the conclusion."""
        return f"{trial_table(self.arms).as_text()}\n\n{self.text}\n"


def trial(
    run: FinishedRun,
    config: TrialConfig,
    *,
    device: str,
    processes: int,
    stopping: Callable[[], bool],
    progress: Progress,
) -> TrialReport:
    """Makes what is missing of RUN/trial and gives its outcome.

    Raises:
        ConfigError: an arm that this run cannot make, a side no GAN is built for, too few held-out
            images.
        Interrupted: a stop was asked for; the same command goes on.
    """
    folder = RunFolder(run.folder).trial
    spec = spec_of(run, config, folder, device)
    arms = [parse_arm(text, config.ratio) for text in config.arms]
    check_pixels(run.corpus)
    made = [_arm_corpus(run, arm, folder, device, stopping, progress) for arm in arms]
    results = run_trial(
        spec, made, config.seeds, processes=processes, stopping=stopping, progress=progress
    )
    found = outcomes(results, {arm.name: arm.count for arm in made})
    report = TrialReport(folder, found, conclusion(found))
    _write(report, results, config)
    return report


def spec_of(run: FinishedRun, config: TrialConfig, folder: Path, device: str) -> TrialSpec:
    corpus = run.corpus
    side, channels = corpus.images.shape[2:]
    labelled = bool(len(corpus.classes)) and _within_classes(run)
    try:
        shape = GanShape(channels, side, config.width, len(corpus.classes) if labelled else 0)
    except ValueError as error:
        raise ConfigError(f"The trial's own trainer cannot be used: {error}.") from error
    precision = config.precision
    if precision == "auto":
        precision = trunk_precision(device_type(device), "unet")
    flip = run.config.train.flip if config.flip is None else config.flip
    options = GanOptions(
        images=config.images,
        snapshot_every=config.snapshot_every,
        batch=config.batch,
        lr=config.lr,
        ema=config.ema,
        augment=tuple(config.augment),
        flip=flip,
        dtype=torch.bfloat16 if precision == "bfloat16" else None,
    )
    return TrialSpec(
        folder=folder,
        corpus=RunFolder(run.folder).corpus,
        corpus_digest=corpus.digest,
        options=options,
        shape=shape,
        samples=config.samples,
        evaluate=run.config.evaluate,
        seed=run.config.seed,
        device=device,
    )


def _within_classes(run: FinishedRun) -> bool:
    pairing = resolve_pairing(run.corpus.planned_sources, run.config.generate.pairing)
    return pairing == "within"


def arm_options(config: Config, arm: Arm, side: int, device: str) -> GenerateConfig:
    """The options of `generate` that make an arm's images. config: resolved and decided."""
    if arm.method == OWN:
        return config.generate
    train = config.train
    assert train.width
    open_ones = dict.fromkeys(("alpha", "t0", "denoise_steps"))
    plain = GenerateConfig().model_dump(include={"contrast", "keep", "gamma", "repair_t0"})
    changed = config.generate.model_copy(update=open_ones | plain | arm.changes)
    return changed.resolved(train.preset, side, train.width, device, train.network)


def _arm_corpus(
    run: FinishedRun,
    arm: Arm,
    folder: Path,
    device: str,
    stopping: Callable[[], bool],
    progress: Progress,
) -> ArmCorpus:
    """The arm's images on disk: found there, or made."""
    corpus = run.corpus
    real = np.sort(
        corpus.sources.filter(pc.equal(corpus.sources["status"], "train"))["row"].to_numpy()
    )
    parts: Iterator[Images] = (
        corpus.images[real[start : start + _CHUNK]] for start in range(0, len(real), _CHUNK)
    )
    labels = corpus.training_ids[real]
    place = folder / "arms" / arm.name
    if arm.method is None:
        digest = canonical_digest([corpus.digest, real.tolist()])
        found = open_arm(arm.name, place, digest)
        if found is None:
            found = write_arm(arm.name, place, digest, parts, labels, {}, lambda count: None)
        return found
    kind = run.ledger.device_type(device_type(device))
    options = arm_options(run.config, arm, corpus.images.shape[1], kind)
    rows = _rows(run, options, arm.ratio)
    net, recipe, means = _maker(run, options, device)
    digest = canonical_digest([corpus.digest, real.tolist(), recipe.digest, rows_digest(rows)])
    found = open_arm(arm.name, place, digest)
    if found is not None:
        return found
    uses = means if recipe.means_sha256 else None
    torch_device = torch.device(device)
    batches = generate(
        rows, corpus.images, recipe, net, means=uses, device=torch_device, stopping=stopping
    )

    def both() -> Iterator[Images]:
        yield from parts
        for batch in batches:
            yield batch.final

    ids = rows["class_id"].fill_null(-1).to_numpy().astype(np.int64)
    facts = {"recipe": recipe.as_json(), "ratio": arm.ratio}
    every = np.concatenate([labels, ids])
    with progress.task(f"arm {arm.name}", len(every), "images") as advance:
        return write_arm(arm.name, place, digest, both(), every, facts, advance)


def _rows(run: FinishedRun, options: GenerateConfig, ratio: int) -> pa.Table:
    """Augmented plan rows at this ratio; those of the run's own method are its corpus's."""
    plan = PlanOptions(
        ratio=ratio,
        alpha=options.alpha or 1.0,
        pairing=options.pairing,
        lone_class=options.lone_class,
        method=str(options.method),
        shard_size=run.config.write.shard_size,
    )
    corpus = run.corpus
    rows = build_plan(corpus.planned_sources, plan, run.config.seed, corpus.images.shape[1])
    return without_keys(rows.filter(pc.equal(rows["kind"], "augmented")), corpus.forgotten)


def _maker(
    run: FinishedRun, options: GenerateConfig, device: str
) -> tuple[TrainedNet | None, Recipe, Any]:
    """Network, recipe and mean images of these options."""
    files, corpus = RunFolder(run.folder), run.corpus
    net = None
    if options.needs_network:
        if not run.config.generate.needs_network:
            raise ConfigError(
                f"An arm by {options.method} needs a score network, and {run.folder} has none: its"
                f" method is {run.config.generate.method}. Leave the arm out, or make a run with"
                " generate.method: auto."
            )
        net = open_network(files, torch.device(device))
    means = open_means(files, corpus, run.planned.recipe.means_sha256)
    assert isinstance(options.batch, int)
    size = balanced_batch(options.batch, run.config.write.shard_size, len(corpus.images))
    evenly = options.model_copy(update={"batch": size})
    used = means.sha256 if options.needs_means else None
    return net, Recipe.from_config(evenly, net.facts if net else None, corpus.digest, used), means


def _write(
    report: TrialReport, results: dict[str, list[dict[str, Any]]], config: TrialConfig
) -> None:
    """table.txt, curves.svg where it can be drawn, and trial.json last."""
    from ..stages.trial.picture import draw_curves

    write_bytes(report.folder / "table.txt", report.as_text().encode())
    try:
        write_bytes(report.folder / "curves.svg", draw_curves(results).encode())
    except ConfigError:  # nothing to draw with is installed
        (report.folder / "curves.svg").unlink(missing_ok=True)
    figures = {
        "options": config.model_dump(mode="json"),
        "conclusion": report.text,
        "arms": [asdict(arm) for arm in report.arms],
        "results": results,
    }
    write_json(report.folder / "trial.json", round_floats(figures))
