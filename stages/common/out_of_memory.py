"""Turns a device's out-of-memory error into one that says what to do."""

import contextlib
from collections.abc import Iterator

import torch

from ...manifests.errors import ScoreMixError

# In errors of a CPU's allocator, and of libraries on a GPU; torch's own error is a class.
_ERROR_TEXTS = ("allocate memory", "out of memory", "ALLOC_FAILED")


@contextlib.contextmanager
def explain_out_of_memory(what: str, device: torch.device, remedy: str) -> Iterator[None]:
    """Raises ScoreMixError where `what` does not fit into the device's memory.

    remedy: a sentence for the message: what the user can do.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and all(
            text not in str(error) for text in _ERROR_TEXTS
        ):
            raise
        raise ScoreMixError(
            f"{what} does not fit into the memory of {device} beside other programs there. {remedy}"
        ) from error
