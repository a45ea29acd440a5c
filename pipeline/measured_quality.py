"""What a dry run says of the quality: what was measured of such a run."""

from ..stages.common.expected import expected_quality
from ..stages.generate.config import GenerateConfig
from ..stages.ingest.preview import IngestPreview
from ..stages.train.config import TrainConfig
from .config import Config

# Options of `train` on which the quality depends.
_DECISIVE = (
    "steps", "width", "batch", "lr", "block", "levels", "dropout", "augment", "flip", "ema",
    "labels",
)  # fmt: skip
_OF_METHOD = ("keep", "gamma", "t0", "denoise_steps", "guidance")  # and of `generate`


def measured_quality(config: Config, found: IngestPreview, kind: str) -> str:
    """What was measured of such a run: with the preset's training and the default's method."""
    train, generate = config.train, config.generate
    preset = TrainConfig.model_validate({"preset": train.preset, "network": train.network})
    default = preset.resolved(found.resolution, kind, found.training)
    changed = [name for name in _DECISIVE if getattr(train, name) != getattr(default, name)]
    method = str(generate.method)
    plain = GenerateConfig(method=generate.method).resolved(
        train.preset, found.resolution, default.width or 0, kind, train.network
    )
    values = {name: getattr(generate, name) for name in _OF_METHOD}
    others = [f"{name} {each}" for name, each in values.items() if each != getattr(plain, name)]
    if others:
        method += f" with {', '.join(others)}"
    return expected_quality(
        train.preset, train.network, method, found.resolution, found.training, changed
    )
