"""accelerate's Accelerator for processes of which one may work alone for hours."""

from datetime import timedelta
from typing import Any

from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs

# How long processes wait for each other. torch's own 10 or 30 minutes would end a launch whose
# leader reads a million images; a process that dies is noticed by torchrun all the same.
_PATIENCE = timedelta(days=7)


def patient_accelerator(device: str, **options: Any) -> Accelerator:
    """The accelerator on `device`; options: others of Accelerator's."""
    waiting = InitProcessGroupKwargs(timeout=_PATIENCE)
    return Accelerator(cpu=device == "cpu", kwargs_handlers=[waiting], **options)
