"""Locations of files: a path on a file system, or a URL that fsspec knows."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from ..foreign_text import names_user, redact_url

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True)
class URL:
    """s3://bucket/prefix and the like, without a slash at its end."""

    text: str

    def __post_init__(self) -> None:
        host = self.text.split("://", 1)[1].split("/")[0]
        address = re.fullmatch(r"\[[0-9A-Fa-f:.]+\](:\d+)?", host) is not None
        if set(host) & set("[]") and not address:
            raise ConfigError(
                f"{self.text} has a square bracket in its host or bucket, where only an IPv6"
                " address has them, as in http://[::1]:8000/images.zip."
            )
        if "::" in (self.text.replace(host, "", 1) if address else self.text):
            raise ConfigError(
                f"{redact_url(self.text)} is a chain of URLs. Name the file or folder itself, as in"
                " s3://bucket/prefix."
            )
        if names_user(self.text):
            raise ConfigError(
                f"{self.text.split('://')[0]}://... has a user or password in it, which would be"
                " stored with the run. Leave them out and set them in the environment."
            )

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> "URL":
        return URL(f"{self.text}/{name}")

    @property
    def protocol(self) -> str:
        """s3, gs, https, ... in lower case."""
        return self.text.split("://")[0].lower()

    @property
    def is_s3(self) -> bool:
        """Whether s3fs serves it."""
        return self.protocol in ("s3", "s3a")

    @property
    def is_web(self) -> bool:
        """Whether it is HTTP, which cannot list a folder."""
        return self.protocol in ("http", "https")

    @property
    def name(self) -> str:
        """The last part of the prefix, or the bucket's name."""
        return self.text.split("://")[1].rpartition("/")[2]

    def is_within(self, other: "URL") -> bool:
        """Whether it is `other` or below it."""
        return f"{self.text}/".startswith(f"{other.text}/")


# Protocols of object stores, and of files over HTTP.
_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "http", "https", "memory"}
# fsspec's that read files of this machine, or other URLs, by another name.
_NEVER = {"blockcache", "cached", "data", "dbfs", "dir", "file", "filecache", "generic", "jar"}
_NEVER |= {"libarchive", "local", "reference", "simplecache", "tar", "zip"}
PROTOCOLS = "SCOREMIX_PROTOCOLS"  # of the environment: further ones that the user allows


def _refuse_protocol(url: "URL") -> None:
    """Raises ConfigError for a protocol that a stages.yaml of a stranger must not use unasked."""
    allowed = set(os.environ.get(PROTOCOLS, "").lower().replace(",", " ").split())
    if url.protocol in _NEVER:
        raise ConfigError(
            f"{redact_url(url.text)}: {url.protocol}:// leads to other files or URLs and is not"
            " read. Name the file, folder or URL itself."
        )
    if url.protocol not in _STORES | allowed:
        raise ConfigError(
            f"{redact_url(url.text)}: {url.protocol}:// is none of {', '.join(sorted(_STORES))}. It"
            " may log in to a service with what this machine has stored for it. If you want that,"
            f" allow it: {PROTOCOLS}={url.protocol} in the environment."
        )


Place = Path | URL


def is_url(text: str) -> bool:
    """Whether `text` is a URL of something else than a local file."""
    found = _URL.match(text)
    return found is not None and found[1].lower() not in ("file", "local")


def place(text: str) -> Place:
    """`text` as a path (also file:///...) or a URL.

    Raises ConfigError for one without a bucket, or of a protocol that is not allowed.
    """
    if not is_url(text):
        return Path(re.sub(r"^(file|local)://", "", text, flags=re.IGNORECASE))
    protocol, rest = text.split("://", 1)
    if not rest.strip("/"):
        raise ConfigError(f"{text} names no place. Use a bucket, as in {protocol}://bucket/prefix.")
    url = URL(f"{protocol}://{rest.strip('/')}")
    _refuse_protocol(url)
    return url


def same_place(one: Place, other: Place) -> bool:
    """Whether both name one folder or URL; symbolic links are followed."""
    if isinstance(one, Path) and isinstance(other, Path):
        return one.resolve() == other.resolve()
    return one == other
