"""Tells mounts of one file system from each other: a rename across them fails."""

from pathlib import Path

import pytest

from scoremix.manifests.files import mounts
from scoremix.manifests.files.mounts import on_one_mount

LINE = "{number} 25 0:22 {root} {point} rw,relatime - ext4 /dev/sda1 rw"


def listed(path: Path, points: list[str]) -> Path:
    lines = [LINE.format(number=n, root="/", point=point) for n, point in enumerate(points)]
    path.write_text("\n".join(lines))
    return path


def test_a_folder_mounted_into_another_of_its_file_system_is_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, shards = tmp_path / "the work", tmp_path / "the work" / "shards"
    shards.mkdir(parents=True)
    point = str(shards).replace(" ", r"\040")
    monkeypatch.setattr(mounts, "_MOUNTS", listed(tmp_path / "info", ["/", "/proc"]))
    assert on_one_mount(work, shards)
    monkeypatch.setattr(mounts, "_MOUNTS", listed(tmp_path / "info", ["/", point]))
    assert not on_one_mount(work, shards) and on_one_mount(work, tmp_path)
    assert on_one_mount(shards, shards)
    (tmp_path / "the work" / "shards-2").mkdir()  # not below the mount point
    assert on_one_mount(work, tmp_path / "the work" / "shards-2")


def test_without_a_list_of_mounts_the_device_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "_MOUNTS", tmp_path / "absent")
    assert on_one_mount(tmp_path, tmp_path)
    if Path("/proc/self").exists():
        assert not on_one_mount(tmp_path, Path("/proc"))
