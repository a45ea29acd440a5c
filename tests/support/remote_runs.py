"""Builds into an object store, and what then lies there."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import s3
import tiny
from in_process import cli

from scoremix.manifests.published.owner import OWNER
from scoremix.manifests.storage.location import URL
from scoremix.manifests.storage.remote import RemoteStore, open_remote
from scoremix.manifests.storage.retry import RetryPolicy


def augment(images: Path, out: object, *more: object, **options: object) -> int:
    """Without a network, and without judging: what is built is the same."""
    quick = tiny.options(**{"generate__method": "mixup", **options})
    return cli("augment", "--data", images, "--out", out, *quick, "--quiet", *more)


def build(images: object, out: object, *more: object, **options: object) -> int:
    """`augment` as far as the shards: 2 real and 4 augmented, as each takes a score of requests."""
    larger = {"write__shard_size": 12, **options}
    return augment(images, out, "--until", "write", *more, **larger)


def store_at(bucket: str, prefix: str = "pets") -> RemoteStore:
    return open_remote(URL(f"s3://{bucket}/{prefix}"), RetryPolicy(5.0))


def digests(store: RemoteStore) -> dict[str, str]:
    names = [name for name in store.names() if name != OWNER]  # which differs between runs
    return {name: hashlib.sha256(store.read(name)).hexdigest() for name in names}


def empty(store: RemoteStore) -> None:
    for name in store.names():
        store.remove(name)


@dataclass(frozen=True)
class Uploaded:
    """A corpus in a bucket and its run folder, and what they were when it had been built."""

    images: Path
    bucket: str
    run: Path  # where `augment` leaves it by itself
    objects: dict[str, bytes]
    folder: Path  # a copy

    def restore(self) -> None:
        """Both in their places, as they were: a run knows where it is at home."""
        store = store_at(self.bucket)
        empty(store)
        for name, data in self.objects.items():
            store.fs.pipe_file(f"{store.root}/{name}", data)
        shutil.rmtree(self.run)
        shutil.copytree(self.folder, self.run)


def upload(root: Path, server: s3.Server, bucket: str) -> Uploaded:
    """Builds below `root` and in a new bucket."""
    import boto3

    images = tiny.make_images(root / "images")
    with pytest.MonkeyPatch.context() as patch:
        s3.use(server, patch)
        boto3.client("s3").create_bucket(Bucket=bucket)
        patch.chdir(root)
        assert build(images, f"s3://{bucket}/pets") == 0
        store = store_at(bucket)
        objects = {name: store.read(name) for name in store.names()}
    run = root / "pets.run"
    return Uploaded(images, bucket, run, objects, shutil.copytree(run, root / "kept" / run.name))
