"""accelerate's Accelerator for processes of which one may work alone for hours."""

from datetime import timedelta
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType, GradientAccumulationPlugin, InitProcessGroupKwargs

from ...manifests.errors import ConfigError

# How long processes wait for each other. torch's own 10 or 30 minutes would end a launch whose
# leader reads a million images; a process that dies is noticed by torchrun all the same.
_PATIENCE = timedelta(days=7)
_KINDS = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)


def patient_accelerator(device: str, **options: Any) -> Accelerator:
    """The accelerator on `device`; options: others of Accelerator's.

    How a network is trained is for stages.yaml to say, and recorded. What `accelerate config` wrote
    about precision, compilation and accumulation, and its launcher puts into the environment, would
    change the network without a word: it does not count here.

    Raises ConfigError where that configuration asks for another kind of training (DeepSpeed, FSDP).
    """
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision="no",
        dynamo_backend="no",
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
        **options,
    )
    if accelerator.distributed_type not in _KINDS:
        raise ConfigError(
            f"accelerate is configured for {accelerator.distributed_type.value}; a score network is"
            " trained by plain data parallelism. Launch it with `accelerate launch --multi_gpu` or"
            " torchrun."
        )
    return accelerator
