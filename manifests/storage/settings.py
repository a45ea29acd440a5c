"""Options of the clients through which fsspec reaches stores."""

from typing import Any

from .location import URL
from .web import client_options

_CONCURRENT_PARTS = 4  # of one upload: with the size of a part, its memory


def client_settings(url: URL, patience: float) -> dict[str, Any]:
    """Options added to those of fsspec's own configuration.

    patience: seconds for which a request is repeated.
    """
    from fsspec.config import conf

    # A cached listing would hide what other workers did.
    options: dict[str, Any] = {"use_listings_cache": False}
    if url.is_s3:
        # Botocore tries 5 times and s3fs 5 times that, half a minute without checking for a stop.
        configured = conf.get(url.protocol, {}).get("config_kwargs", {})
        options["config_kwargs"] = {"retries": {"total_max_attempts": 1}, **configured}
        options["max_concurrency"] = _CONCURRENT_PARTS
    if url.is_web:
        configured = conf.get(url.protocol, {}).get("client_kwargs", {})
        options["client_kwargs"] = {**configured, **client_options(patience)}
    return options
