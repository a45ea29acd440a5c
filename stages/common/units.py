"""Writes durations and byte counts as people read them."""

from rich.filesize import decimal


def format_duration(seconds: float) -> str:
    """ "48 s", "3 min 5 s", "2 h 4 min"."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def format_bytes(count: float) -> str:
    """Bytes as "12.3 MB"."""
    return decimal(int(count + 0.5))
