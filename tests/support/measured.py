"""Constructed measurements of a corpus, from which a verdict is drawn."""

from blob_corpus import COMMAND

from scoremix.models.metrics.distances import Comparison
from scoremix.stages.evaluate.verdict import Comparisons


def compared(low: float, high: float, fd: tuple[float, float] | None = None) -> Comparison:
    return Comparison(
        n=812,
        reference_n=1497,
        dimensions=32,
        resamples=200,
        kd_before=0.0456,
        kd_after=0.0456 + (low + high) / 2,
        kd_interval=(low, high),
        fd_before=2.0,
        fd_after=1.5,
        fd_interval=fd,
        fd_biased=False,
    )


FINDINGS = Comparisons(
    method="scoremix",
    kd="kd_net",
    fd="fd_net",
    features={"kind": "torchscript"},
    held_out=1497,
    reproduced=(2000, 2000),
    bands=[],
    mixed={"n": 812, "copies": {"kd_net": 0.005}},
    minimised=compared(-0.02, 0.01),
    denoised=compared(-0.02, -0.01),
    final=compared(-0.04, -0.03, fd=(0.2, 0.3)),
    other_parents=(-0.05, -0.001),
    training_distances={"kd_net": -0.0001},
    norms={},
    train_more=COMMAND,
    prdc={"precision": (0.5, 0.617), "recall": (None, 0.3), "coverage": (0.9, 0.88)},
)
