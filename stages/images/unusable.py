"""The reason why an input cannot be used."""

import re

_MAX_REASON = 200  # characters


class Unusable(Exception):
    """An input cannot be used; the message is the whole reason."""


class ExcludedByOption(Unusable):
    """An input is excluded by the user's options: nothing is wrong with it."""


def explain(error: Exception) -> str:
    """An exception as a reason of one line, without addresses and paths: runs give equal ones."""
    if isinstance(error, Unusable):
        return str(error)
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    text = " ".join(re.sub(r"<[^<>]* at 0x[0-9a-fA-F]+>", "the data", text).split())
    text = text or "the decoder gave no reason"
    return f"{type(error).__name__}: {text}"[:_MAX_REASON].rstrip(": ")
