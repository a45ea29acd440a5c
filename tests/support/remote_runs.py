"""Builds into an object store, and what then lies there."""

import hashlib
from pathlib import Path

import tiny

from scoremix.manifests.published.owner import OWNER
from scoremix.manifests.storage.location import URL
from scoremix.manifests.storage.remote import RemoteStore, open_remote
from scoremix.manifests.storage.retry import RetryPolicy
from scoremix.pipeline.cli import commands, exit_code


def command(*words: object) -> int:
    return exit_code(lambda: commands.main([str(word) for word in words], standalone_mode=False))


def augment(images: Path, out: object, *more: object, **options: object) -> int:
    """Without a network, and without judging: what is built is the same."""
    quick = tiny.options(**{"generate__method": "mixup", **options})
    return command("augment", "--data", images, "--out", out, *quick, "--quiet", *more)


def store_at(bucket: str, prefix: str = "pets") -> RemoteStore:
    return open_remote(URL(f"s3://{bucket}/{prefix}"), RetryPolicy(5.0))


def digests(store: RemoteStore) -> dict[str, str]:
    names = [name for name in store.names() if name != OWNER]  # which differs between runs
    return {name: hashlib.sha256(store.read(name)).hexdigest() for name in names}


def empty(store: RemoteStore) -> None:
    for name in store.names():
        store.remove(name)
