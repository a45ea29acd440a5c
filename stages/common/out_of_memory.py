"""What is said where a device's memory does not suffice."""

import contextlib
from collections.abc import Iterator

import torch

from ...manifests.errors import ScoreMixError

# Of a CPU's allocator, and of libraries on a GPU; torch's own is a class.
_TOLD = ("allocate memory", "out of memory", "ALLOC_FAILED")


@contextlib.contextmanager
def explain_out_of_memory(what: str, device: torch.device, then: str) -> Iterator[None]:
    """Raises ScoreMixError, with what to do, where `what` does not fit into the device's memory."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and all(
            words not in str(error) for words in _TOLD
        ):
            raise
        raise ScoreMixError(
            f"{what} does not fit into the memory of {device} beside what else runs there. {then}"
        ) from error
