"""Runs of more than an hour: how long they take is said before they begin, and may be declined.

The corpus is there by then: its images are counted, not guessed, and no source is listed twice. A
run that goes on, from a checkpoint or with shards of the same plan, was agreed to before.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from ..models.method.ladder import sigma_at
from ..models.method.methods import FrozenScore
from ..models.network.checkpoint import TrainedNet
from ..models.network.device import device_type
from ..stages.common.tensors import to_unit
from ..stages.common.units import format_duration
from ..stages.corpus.store import Corpus
from ..stages.generate.encodings import encodings_each
from ..stages.ingest.preview import IngestPreview
from . import launch
from .class_estimate import recognise_seconds
from .config import Config
from .dry_run import PROBE_SECONDS, done_until, possible_methods, probe_stages
from .job import Role, StageContext
from .signals import interrupt_at_once
from .speed_probe import probe_network
from .trial_gan import trial_time
from .work_left import resumed_step

LONG = 3600.0  # seconds
_SAMPLES = 32  # images of the corpus that the network is timed on
_ADVICE = (
    " It can be stopped at any time: the same command goes on. To see minutes of it first:"
    " --ratio 1 --set ingest.resolution=32 --set train.steps=200 --set generate.method=bridge and"
    " another --out."
)


def announce_training(context: StageContext, config: Config, corpus: Corpus) -> None:
    """Says how long the whole run takes, where that is more than an hour, before it trains.

    config: resolved.

    Raises Interrupted where the user declines.
    """
    job = context.job
    if not _is_asked(context) or resumed_step(config, job.files, corpus.digest):
        return
    found = _preview_of(corpus)
    methods = possible_methods(config, context.ledger, found, job.device)

    def measure(probe_seconds: float) -> dict[str, float]:
        seconds, _ = probe_stages(config, methods, found, job.device, probe_seconds)
        seconds |= recognise_seconds(config, found, job.device, probe_seconds)
        if job.ends_with_trial:
            kind = context.ledger.device_type(device_type(job.device))
            seconds["trial"], _ = trial_time(config, found, kind, job.device, probe_seconds)
        return done_until(job.until, seconds)

    with _timing(job.device):
        # Three steps of each kind show that most runs are short, in a moment.
        seconds = measure(0.0)
        if sum(seconds.values()) > LONG / 2:
            seconds = measure(PROBE_SECONDS)
    stops = ", less where training stops early" if config.train.may_stop_early else ""
    _announce(context, seconds, stops)


def announce_generation(
    context: StageContext, config: Config, corpus: Corpus, net: TrainedNet | None, images: int
) -> None:
    """The same before images are made by a network that was there: of a higher ratio, say.

    images: how many are to be made.
    """
    again = context.outcome.stages.get("train") == "done"  # it was said before the training
    if not _is_asked(context) or net is None or again or context.outcome.stages["plan"] != "done":
        return
    device = context.job.device
    batch = config.generate.batch
    assert isinstance(batch, int)
    pixels = corpus.images[np.arange(min(batch, 4 * len(corpus.images))) % len(corpus.images)]
    score = FrozenScore(net.net, net.sigma_1, net.sigma_N)
    net.net.compute_in(config.generate.precision)
    sigma = sigma_at(config.generate.highest_t0 or 0.5, net.sigma_1)
    with _timing(device):
        speed = probe_network(to_unit(pixels, torch.device(device)), score, sigma, device, 0.0)
    each = encodings_each(images, len(corpus.images), corpus.images[0].size)
    _announce(context, {"generate": images * speed.seconds(config.generate, each)}, "")


def _is_asked(context: StageContext) -> bool:
    """Whether this command asks, and this process knows: several share the work otherwise.

    Not once a stop was asked for.
    """
    alone = context.role is Role.LEADER and launch.world_size() == 1
    return context.job.confirm is not None and alone and not context.job.stopping()


def _announce(context: StageContext, seconds: dict[str, float], stops: str) -> None:
    total = sum(seconds.values())
    if total <= LONG or context.job.confirm is None:
        return
    parts = ", ".join(f"{name} {format_duration(value)}" for name, value in seconds.items())
    context.job.confirm(
        f"This takes about {format_duration(total)} on this machine ({context.job.device}):"
        f" {parts}{stops}.{_ADVICE}"
    )


def _preview_of(corpus: Corpus) -> IngestPreview:
    """What a dry run guesses of a corpus, of one that is there."""
    count, side, _, channels = corpus.images.shape
    return IngestPreview(
        inputs=sum(corpus.counts.values()),
        training=count,
        reference=len(corpus.reference),
        classes=len(corpus.classes),
        resolution=side,
        channels=channels,
        seconds_per_image=0.0,
        samples=np.asarray(corpus.images[:: -(-count // _SAMPLES)]),
        sources=corpus.planned_sources,
    )


@contextlib.contextmanager
def _timing(device: str) -> Iterator[None]:
    """Leaves torch's generators as they were: what a run makes does not depend on being timed.

    The first Ctrl-C ends it: nothing is under way that would have to be saved.
    """
    gpus = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=gpus), interrupt_at_once():
        yield
