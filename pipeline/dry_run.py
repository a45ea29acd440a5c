"""--dry-run: counts, bytes, and time from a short probe on this very machine."""

import numpy as np
import pyarrow as pa
import torch

from ..manifests.errors import ConfigError
from ..manifests.run_folder import STAGES
from ..manifests.tombstones import read_tombstones
from ..models.method.ladder import noise_ladder, sigma_at
from ..models.method.loss import dsm_loss
from ..models.method.methods import FrozenScore
from ..models.network.checkpoint import build
from ..models.network.device import device_type
from ..stages.common.presets import balanced_batch
from ..stages.common.tensors import to_unit
from ..stages.common.units import format_bytes, format_duration
from ..stages.corpus.store import open_corpus
from ..stages.evaluate.variant_catalogue import changes_of
from ..stages.generate.config import GenerateConfig
from ..stages.generate.encodings import encodings_each
from ..stages.images.png import select_encoder
from ..stages.ingest.inventory import JUDGED
from ..stages.ingest.preview import IngestPreview, preview_ingest
from ..stages.pilot.candidates import choose_in_time, rows_in_time
from ..stages.pilot.pilot import SHOWN
from ..stages.pilot.rule import MIN_HELD_OUT, choose_unseen
from ..stages.sources.remote import FetchOptions
from ..stages.train.facts import architecture_of, check_draw
from ..stages.write.write import sample_bytes
from .class_estimate import (
    images_made,
    is_recognised,
    kind_made,
    recognise_seconds,
    shards_by_class,
)
from .config import Config
from .decided import candidate_configs, decided
from .fewer_rounds import refuse_before_saving
from .fingerprints import inputs_of_ingest, inputs_of_pilot
from .job import Job
from .ledger import Ledger
from .measured_quality import measured_quality
from .planned import PlannedImages, check_planned_images
from .refused_options import check_makes_a_difference
from .speed_probe import encode_seconds, probe_network, timed
from .trial_check import check_counts
from .trial_gan import trial_time
from .unused import unused_notes
from .work_left import ShardsLeft, shards_left, shards_replaced, share_of_training

PROBE_SECONDS = 2.0
_STAGE = {
    "generate": "write",
    "the rest": "ingest",
    "trial": "evaluate",
}  # that a part belongs to, if not its own
_STARTING = 6.0  # imports, the exact sigma_1, publishing, the report: whatever the job


def estimate(job: Job) -> str:
    """The text of a dry run; nothing is written but what is fetched from URLs, for the run."""
    config, folder, device = job.config, job.folder, job.device
    # What was forgotten may still lie at a URL: then nothing that is fetched stays here.
    forgotten = read_tombstones(folder).entries
    fetching = None if forgotten else FetchOptions(job.files.fetched, job.progress)
    found = preview_ingest(
        config.ingest, seed=config.seed, progress=job.progress, fetching=fetching
    )
    if found.training < 2:
        raise ConfigError(
            f"ingest.source gives {found.training} training image(s) of"
            f" {found.inputs} inputs; at least two are needed. A single image can"
            " be cut into squares: ingest.patches."
        )
    ledger = Ledger(folder)
    kind = ledger.device_type(device_type(device))
    config = config.resolved(found.resolution, kind, found.training)
    tried = _check_asked(config, found, job, ledger)
    made = images_made(config, found)
    images = found.training + made
    per_image = sample_bytes(found.samples, select_encoder(config.write.encoder))
    seconds = {"ingest": found.seconds_per_image * (found.training + found.reference)}
    methods = possible_methods(config, ledger, found, device)
    notes: dict[str, str] = {}
    if config.generate.needs_network:
        probed, notes = probe_stages(config, methods, found, device, PROBE_SECONDS)
        seconds |= probed
    seconds |= recognise_seconds(config, found, device, PROBE_SECONDS)
    seconds["write"] = images * encode_seconds(found.samples, select_encoder(config.write.encoder))
    seconds["the rest"] = _STARTING
    if job.ends_with_trial:
        seconds["trial"], notes["trial"] = trial_time(config, found, kind, device, PROBE_SECONDS)
    lines = [
        f"inputs:        {found.inputs:,}, of which {found.training:,} are trained on and"
        f" {_held_out(found.reference)}",
        f"images:        {found.training:,} real + {made:,} augmented"
        f" ({kind_made(config, found)}), {found.resolution} px, {found.colours}",
        f"shards:        {_shards(config, found, tried)}, about"
        f" {format_bytes(images * per_image)} in {job.shards}",
        f"run folder:    about {format_bytes(_run_bytes(config, found))} in {folder}",
    ]
    texts = {
        name: f"about {format_duration(value)}" + (f" ({notes[name]})" if name in notes else "")
        for name, value in seconds.items()
    }
    left = _count_what_is_done(job, config, found, ledger, seconds, texts)
    seconds = done_until(job.until, seconds)
    texts = {name: texts[name] for name in seconds}
    lines += [f"{name + ':':<15}{text}" for name, text in texts.items()]
    if "write" in seconds and (gone := shards_replaced(job, left)):
        most = "up to " if left is None else ""
        lines.append(f"replaced:      {most}{gone:,} shards of other options in {job.shards}")
    if config.generate.needs_network:
        lines.append(f"quality:       {measured_quality(config, found, kind)}")
    said = unused_notes(job.config, found.resolution, kind, found.training)
    lines += [f"note:          {note}" for note in said]
    total = f"about {format_duration(sum(seconds.values()))} on this machine ({device})"
    return "\n".join([*lines, f"total:         {total}, {_included(job)}"])


def _included(job: Job) -> str:
    if job.until != STAGES[-1]:
        return f"until {job.until}"
    return f"evaluation{' and trial' if job.ends_with_trial else ''} included"


def done_until(until: str, seconds: dict[str, float]) -> dict[str, float]:
    """Seconds by part of a run, without those parts that come after the stage `until`."""
    last = STAGES.index(until)
    return {
        name: each for name, each in seconds.items() if STAGES.index(_STAGE.get(name, name)) <= last
    }


def _count_what_is_done(
    job: Job,
    config: Config,
    found: IngestPreview,
    ledger: Ledger,
    seconds: dict[str, float],
    texts: dict[str, str],
) -> ShardsLeft | None:
    """Takes what is finished out of the seconds of each stage, and says so in its text."""
    if ledger.why_stale("ingest", inputs_of_ingest(job.config, ledger)) is None:
        seconds["ingest"], texts["ingest"] = 0.0, "up to date"
    if "train" in seconds:
        left, note = share_of_training(config, job.files, ledger, found)
        seconds["train"] *= left
        most = ", less where it stops early" if config.train.may_stop_early else ""
        texts["train"] = (
            f"about {format_duration(seconds['train'])}{most} ({note})" if left else note
        )
    if "recognise" in seconds and is_recognised(job, config, ledger):
        seconds["recognise"], texts["recognise"] = 0.0, "up to date, the new classes are kept"
    return _count_finished_shards(job, config, ledger, seconds, texts)


def _count_finished_shards(
    job: Job, config: Config, ledger: Ledger, seconds: dict[str, float], texts: dict[str, str]
) -> ShardsLeft | None:
    """Takes finished shards out of the seconds of `write` and of what is done beside it."""
    left = shards_left(job, config, ledger)
    if left is None:
        return None
    shares = {"generate": left.made, "write": left.images}
    if left.is_evaluated:
        shares["evaluate"] = 0.0
    remaining = f"{left.missing:,} of {left.shards:,} shards left"
    for name, share in shares.items():
        if name not in seconds or share == 1.0:
            continue
        seconds[name] *= share
        duration = f"about {format_duration(seconds[name])} ({remaining})"
        texts[name] = duration if share else "up to date"
    return left


def _held_out(count: int) -> str:
    few = f" ({JUDGED} are needed to compare with: ingest.holdout or ingest.reference)"
    return f"{count:,} held out{few if count < JUDGED else ''}"


def _check_asked(config: Config, found: IngestPreview, job: Job, ledger: Ledger) -> pa.Table:
    """Refuses what the run would refuse before it trains, as for a class with one image; gives the
    plan that was tried."""
    if ledger.why_stale("ingest", inputs_of_ingest(job.config, ledger)) is None:
        refuse_before_saving(config, open_corpus(job.files.corpus), job, ledger)
    if job.ends_with_trial:
        side, counts = found.resolution, (found.training, found.reference)
        check_counts(config.trial, side=side, training=counts[0], held_out=counts[1])
    check_makes_a_difference(config)
    names = sorted(set(found.sources["class_name"].to_pylist()) - {None})
    tried = check_planned_images(config, PlannedImages(found.sources, names, found.resolution))
    if config.generate.needs_network:
        check_draw(config.train, found.classes)
    return tried


def _shards(config: Config, found: IngestPreview, tried: pa.Table) -> str:
    """How many there are; of methods by class, whose rounds differ in size, about so many.

    tried: a plan of these options, of methods by class a whole one.
    """
    if config.generate.by_class:
        return shards_by_class(config, found, tried)
    a_round = -(-found.training // config.write.shard_size)
    return f"{a_round * (config.generate.ratio + 1):,}"


def _run_bytes(config: Config, found: IngestPreview) -> float:
    pixels = found.resolution**2 * found.channels
    corpus = pixels * (found.training + found.reference)
    if not config.generate.needs_network:
        return corpus
    net = _network(config, found, "cpu")
    # model.safetensors, the best averages, and a state of weights, averages and two moments.
    return corpus + 6 * 4 * sum(parameter.numel() for parameter in net.net.parameters())


def _network(config: Config, found: IngestPreview, device: str) -> FrozenScore:
    """An untrained network of the run's shape: it costs what the trained one costs."""
    sigma_1 = 0.5 * found.resolution * found.channels**0.5
    shape = architecture_of(config.train, found.samples.shape, found.classes)
    net = build(shape, noise_ladder(sigma_1)).to(device)
    return FrozenScore(net, sigma_1, 0.01)


def possible_methods(
    config: Config, ledger: Ledger, found: IngestPreview, device: str
) -> dict[str, GenerateConfig]:
    """The options that may make the corpus: one, or where a pilot is to choose, its candidates."""
    if config.generate.method == "auto":
        if ledger.why_stale("pilot", inputs_of_pilot(config, ledger)) is None:
            chosen = ledger.outcome("pilot")["choice"]
            return {chosen: decided(config, ledger).generate}
        kind = ledger.device_type(device_type(device))
        return candidate_configs(config, found.resolution, kind)
    return {str(config.generate.method): config.generate}


def probe_stages(
    config: Config,
    methods: dict[str, GenerateConfig],
    found: IngestPreview,
    device: str,
    probe_seconds: float,
) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds of training, pilot, generation and evaluation, from a few steps of each; with notes.

    methods: of which the slowest that a pilot may choose is counted.
    probe_seconds: of each kind of step, at least; 0 for three of them.
    """
    train, generate = config.train, config.generate
    assert train.steps is not None and train.batch and train.checkpoint_every
    assert isinstance(generate.batch, int)
    score = _network(config, found, device)
    pixels = found.samples[np.arange(max(train.batch, generate.batch)) % len(found.samples)]
    x = to_unit(pixels, torch.device(device))
    measured = 6 * 2 * 256 * -(-train.steps // train.checkpoint_every)  # held-out measurements
    sigma = sigma_at(generate.highest_t0 or 0.5, score.sigma_1)
    score.net.compute_in(generate.precision)
    speed = probe_network(x[: generate.batch], score, sigma, device, probe_seconds)
    compares = found.reference >= MIN_HELD_OUT
    values = found.samples[0].size
    each = speed.of_candidates(methods, config.pilot.rows, found.training, values)
    rows = rows_in_time(each, config.pilot.rows, config.pilot.minutes) if compares else SHOWN
    costs = {name: rows * one for name, one in each.items()}
    time_allowed = choose_in_time(costs, config.pilot.minutes)
    has_pilot = len(methods) > 1
    size, total = config.write.shard_size, images_made(config, found)
    made = total if generate.by_class else _padded(found.training, config) * generate.ratio
    encodings = encodings_each(made, found.training, values)
    corpora = {name: speed.seconds(options, encodings) for name, options in methods.items()}
    slowest = max(time_allowed.chosen if has_pilot else methods, key=lambda name: corpora[name])
    if has_pilot and not compares:
        slowest = choose_unseen(time_allowed.chosen, found.reference).choice
    batch, generate = generate.batch, methods[slowest]
    per_image, judged = corpora[slowest], min(config.evaluate.rows, total)
    of_variant = encodings_each(config.evaluate.variant_rows, found.training, values)
    tried = [
        speed.seconds(generate.model_copy(update=dict(changes)), of_variant)
        for changes in changes_of(config.evaluate.variants, generate).values()
    ]
    seconds = {"train": _seconds_of_update(config, score, x, sigma, probe_seconds) * train.steps}
    seconds["train"] += measured * speed.forward
    notes = {}
    if has_pilot:
        seconds["pilot"] = sum(costs[name] for name in time_allowed.chosen)
        notes["pilot"] = f"{rows} mixtures each by {'; '.join(time_allowed.chosen)}"
        for name, reason in time_allowed.left_out.items():
            notes["pilot"] += f"; without {name}: it {reason}"
        notes["generate"] = f"if the pilot chooses {slowest}, the slowest"
        if not compares:
            notes["pilot"] += "; to look at: nothing is compared with so few held-out images"
            notes["generate"] = f"by {slowest}"
    return seconds | {
        "generate": per_image * made,
        "evaluate": per_image * _up(judged, balanced_batch(batch, size, found.training))
        + sum(tried) * min(config.evaluate.variant_rows, judged),
    }, notes


def _seconds_of_update(
    config: Config, score: FrozenScore, x: torch.Tensor, sigma: float, probe_seconds: float
) -> float:
    """Seconds of one update of the network on images x (B, C, H, W), which are enough of them."""
    train = config.train
    score.net.requires_grad_(True).train()
    score.net.compute_in(train.precision)
    optimiser = torch.optim.Adam(score.net.parameters(), lr=1e-9, fused=True)

    def update() -> None:
        sigmas = torch.full((train.batch or 1,), sigma, device=x.device)
        batch = x[: train.batch]
        optimiser.zero_grad()
        loss = dsm_loss(score.net, batch, sigmas, torch.randn_like(batch)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return timed(update, x.device.type, probe_seconds)


def _padded(training: int, config: Config) -> int:
    """Images that a round costs: the last micro-batch of every shard is filled up."""
    assert isinstance(config.generate.batch, int)
    whole, rest = divmod(training, config.write.shard_size)
    batch = balanced_batch(config.generate.batch, config.write.shard_size, training)
    return whole * _up(config.write.shard_size, batch) + _up(rest, batch)


def _up(count: int, batch: int) -> int:
    return -(-count // batch) * batch
