"""--dry-run: counts, bytes, and time from a short probe on this very machine."""

import time
from collections.abc import Callable

import numpy as np
import torch

from ..manifests.errors import ConfigError, ScoreMixError
from ..manifests.run_folder import RunFolder
from ..manifests.tombstones import read_tombstones
from ..models.method.ladder import noise_ladder, sigma_at
from ..models.method.loss import dsm_loss
from ..models.method.methods import FrozenScore
from ..models.method.minimise import minimise
from ..models.network.architecture import Architecture
from ..models.network.checkpoint import build
from ..models.network.device import device_type
from ..stages.common.presets import balanced_batch
from ..stages.common.tensors import to_unit
from ..stages.common.units import format_bytes, format_duration
from ..stages.corpus.store import open_corpus
from ..stages.evaluate.variant_catalogue import changes_of, evaluations
from ..stages.generate.config import GenerateConfig
from ..stages.images.png import select_encoder
from ..stages.ingest.preview import IngestPreview, preview_ingest
from ..stages.sources.remote import FetchOptions
from ..stages.train.checkpoint import resumable_state
from ..stages.train.train import identity_of
from ..stages.write.write import sample_bytes
from .config import Config
from .fingerprints import inputs_of_ingest, inputs_of_train
from .job import Job
from .ledger import Ledger
from .trained_network import is_trained

_PROBE_SECONDS = 2.0
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
            f" {found.inputs} inputs; at least two are needed."
        )
    ledger = Ledger(folder)
    config = config.resolved(found.resolution, ledger.device_type(device_type(device)))
    ratio = config.generate.ratio
    images = found.training * (ratio + 1)
    per_image = sample_bytes(found.samples, select_encoder(config.write.encoder))
    seconds = {"ingest": found.seconds_per_image * (found.training + found.reference)}
    if config.generate.needs_network:
        seconds |= _probe(config, found, device)
    seconds["write"] = images * _encode_seconds(config, found)
    seconds["the rest"] = _STARTING
    lines = [
        f"inputs:        {found.inputs:,}, of which {found.training:,} are trained on and"
        f" {found.reference:,} held out",
        f"images:        {found.training:,} real + {found.training * ratio:,} augmented"
        f" (ratio {ratio}), {found.resolution} px, {'gray' if found.channels == 1 else 'RGB'}",
        f"shards:        {_shards(config, found.training)}, about"
        f" {format_bytes(images * per_image)} in {job.shards}",
        f"run folder:    about {format_bytes(_run_bytes(config, found))} in {folder}",
    ]
    texts = {name: f"about {format_duration(value)}" for name, value in seconds.items()}
    if "train" in seconds:
        left, note = _share_of_training(config, job.files, ledger, found)
        seconds["train"] *= left
        most = ", less where it stops early" if config.train.may_stop_early else ""
        texts["train"] = (
            f"about {format_duration(seconds['train'])}{most} ({note})" if left else note
        )
    lines += [f"{name + ':':<15}{text}" for name, text in texts.items()]
    total = format_duration(sum(seconds.values()))
    lines.append(f"total:         about {total} on this machine ({device}), evaluation included")
    return "\n".join(lines)


def _share_of_training(
    config: Config, files: RunFolder, ledger: Ledger, found: IngestPreview
) -> tuple[float, str]:
    """The share of the steps that `run` will train, and why."""
    steps = config.train.steps
    ingest = ledger.why_stale("ingest", inputs_of_ingest(config))
    if not ledger.outcome("ingest"):
        return 1.0, str(ingest)
    digest = ledger.outcome("ingest")["digest"]
    again = ledger.why_stale("train", inputs_of_train(config, digest))
    if ingest is not None:
        if not _may_come_again(files, found):
            return 1.0, f"ingest {ingest}; another corpus comes out"
        kept = again is None and is_trained(files)
        then = "the network is kept" if kept else "an earlier training may go on"
        return 1.0, f"ingest {ingest}; {then} if the same corpus comes out"
    if again is None and is_trained(files):
        return 0.0, "up to date, the network is kept"
    assert steps is not None and config.generate.highest_t0 is not None
    identity = identity_of(config.train, digest, config.seed, config.generate.highest_t0)
    state = resumable_state(files.training_state, identity, at_most=steps)
    why = again or "its files are gone"
    if state is None:
        return 1.0, why
    return (steps - state.step) / max(steps, 1), f"{why}; it goes on from step {state.step:,}"


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


def _shards(config: Config, training: int) -> int:
    return -(-training // config.write.shard_size) * (config.generate.ratio + 1)


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
    train = config.train
    assert train.width and train.network
    sigma_1 = 0.5 * found.resolution * found.channels**0.5
    shape = Architecture(
        found.channels,
        found.resolution,
        train.width,
        train.conditioning,
        train.network,
        train.dropout or 0.0,
        views=bool(train.augment),
    )
    net = build(shape, noise_ladder(sigma_1)).to(device)
    return FrozenScore(net, sigma_1, 0.01)


def _probe(config: Config, found: IngestPreview, device: str) -> dict[str, float]:
    """Seconds of training, generation and evaluation, from a few steps of each."""
    train, generate = config.train, config.generate
    assert train.steps is not None and train.batch and train.checkpoint_every
    assert generate.denoise_steps is not None and generate.steps is not None and generate.t0
    assert isinstance(generate.batch, int)
    score = _network(config, found, device)
    pixels = found.samples[np.arange(max(train.batch, generate.batch)) % len(found.samples)]
    x = to_unit(pixels, torch.device(device))
    measured = 6 * 2 * 256 * -(-train.steps // train.checkpoint_every)  # held-out measurements
    sigma = sigma_at(generate.t0, score.sigma_1)
    score.net.trunk_dtype = _dtype_of(generate.precision)
    one_step = _timed(lambda: minimise(x[: generate.batch], score, 0.01, steps=1, lr=0.001), device)
    with torch.no_grad():
        one_level = _timed(lambda: score(x[: generate.batch], sigma), device)

    def seconds(config: GenerateConfig) -> float:
        """Seconds for one image, its three norms included."""
        forward, gradient = evaluations(config)
        return (one_step * gradient + one_level * (forward + 3)) / int(generate.batch)

    per_image = seconds(generate)
    tried = [
        seconds(generate.model_copy(update=dict(changes)))
        for changes in changes_of(config.evaluate.variants, generate).values()
    ]
    made, size = _padded(found.training, config) * generate.ratio, config.write.shard_size
    judged = min(config.evaluate.rows, found.training * generate.ratio)
    score.net.requires_grad_(True).train()
    score.net.trunk_dtype = _dtype_of(train.precision)
    optimiser = torch.optim.Adam(score.net.parameters(), lr=1e-9, fused=True)

    def update() -> None:
        sigmas = torch.full((train.batch or 1,), sigma, device=x.device)
        batch = x[: train.batch]
        optimiser.zero_grad()
        loss = dsm_loss(score.net, batch, sigmas, torch.randn_like(batch)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return {
        "train": _timed(update, device) * train.steps + measured * one_level / generate.batch,
        "generate": per_image * made,
        "evaluate": per_image * _up(judged, balanced_batch(generate.batch, size, found.training))
        + sum(tried) * min(config.evaluate.variant_rows, judged),
    }


def _dtype_of(precision: str) -> torch.dtype | None:
    return torch.bfloat16 if precision == "bfloat16" else None


def _padded(training: int, config: Config) -> int:
    """Images that a round costs: the last micro-batch of every shard is filled up."""
    assert isinstance(config.generate.batch, int)
    whole, rest = divmod(training, config.write.shard_size)
    batch = balanced_batch(config.generate.batch, config.write.shard_size, training)
    return whole * _up(config.write.shard_size, batch) + _up(rest, batch)


def _up(count: int, batch: int) -> int:
    return -(-count // batch) * batch


def _timed(work: Callable[[], object], device: str) -> float:
    """Seconds of one call: the median of as many as fit the probe, after two to warm up."""

    def once() -> float:
        begin = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    once(), once()
    begin, times = time.perf_counter(), [once()]
    while time.perf_counter() - begin < _PROBE_SECONDS:
        times.append(once())
    return float(np.median(times))


def _encode_seconds(config: Config, found: IngestPreview) -> float:
    encode = select_encoder(config.write.encoder)
    begin = time.perf_counter()
    for pixels in found.samples:
        encode(pixels)
    # Beside the encoding, a sample costs its headers, hashes and rows.
    return (time.perf_counter() - begin) / len(found.samples) + 1.5e-4
