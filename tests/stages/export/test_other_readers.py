"""What docs/trainers.md says of DALI, Energon and MosaicML Streaming, run where one is installed.

None is a dependency, and Streaming cannot be installed beside the others: each test runs in the
environment of its reader, and is skipped elsewhere.
"""

import hashlib
import io
import itertools
import re
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import make_corpus
from PIL import Image

DOCUMENT = Path(__file__).parents[3] / "docs" / "trainers.md"
Images = Counter[tuple[str, int]]  # by hash of the pixels, and class


def digest(pixels: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels, np.uint8).tobytes()).hexdigest()


def in_tars(shards: Path) -> Images:
    found: Images = Counter()
    for path in shards.glob("*.tar"):
        with tarfile.open(path) as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        for name, data in files.items():
            if name.endswith(".png"):
                pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
                found[digest(pixels), int(files[name[:-3] + "cls"])] += 1
    return found


def run_documented(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the reader's blocks define, run in a folder with SHARDS, six images twice."""
    shards = make_corpus(tmp_path, images=6, side=16, ratio=1)
    (tmp_path / "SHARDS").symlink_to(shards)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    part = DOCUMENT.read_text().partition(f"**{title}**")[2].partition("\n**")[0].partition("\n## ")
    for script in re.findall(r"```sh\n(.*?)```", part[0], re.S):
        done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    (code,) = re.findall(r"```python\n(.*?)```", part[0], re.S)
    file = tmp_path / "documented.py"  # DALI reads the source of its function
    file.write_text(code)
    found: dict[str, Any] = {"__name__": "documented"}
    exec(compile(code, str(file), "exec"), found)
    return found


def test_dali(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nvidia.dali", reason="NVIDIA DALI is not installed")
    names = run_documented("NVIDIA DALI", tmp_path, monkeypatch)
    wanted = in_tars(tmp_path / "SHARDS")
    assert names["epoch"] == wanted.total() == 12
    found: Images = Counter()
    for _ in range(3):
        images, labels = names["pipeline"].run()
        for place in range(len(images)):
            label = int(bytes(np.array(labels.at(place))))
            found[digest(images.at(place)), label] += 1
    assert found == wanted


def test_energon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("megatron.energon", reason="Megatron Energon is not installed")
    names = run_documented("Megatron Energon", tmp_path, monkeypatch)
    found: Images = Counter()
    for batch in itertools.islice(names["loader"], 30):
        for image, label in zip(batch.image, batch.label, strict=True):
            pixels = np.rint(image.numpy().transpose(1, 2, 0) * 255)
            found[digest(pixels), int(label)] += 1
    assert found.keys() == in_tars(tmp_path / "SHARDS").keys()


def test_streaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("streaming", reason="MosaicML Streaming is not installed")
    names = run_documented("MosaicML Streaming", tmp_path, monkeypatch)
    found: Images = Counter(
        (digest(sample["image"].convert("RGB")), int(sample["label"])) for sample in names["data"]
    )
    assert found == in_tars(tmp_path / "SHARDS")
