"""What docs/trainers.md says of Hugging Face: columns image and label, class names kept."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from made import make_corpus, pixels_of

from scoremix.stages.common.progress import Silent
from scoremix.stages.export.export import ExportConfig, export

DOCUMENT = Path(__file__).parents[3] / "docs" / "trainers.md"


@pytest.mark.parametrize("classes", [("cat", "dog"), ("train", "val")])
@pytest.mark.parametrize("block", ["parquet", "imagefolder", "shards"])
def test_the_documented_lines_give_images_and_class_names(
    block: str, classes: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of classes that are called like splits: datasets looks for such words in all names."""
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    shards = make_corpus(tmp_path, images=6, side=8, ratio=1, classes=classes)
    if block != "shards":
        export(shards, tmp_path / "CORPUS", ExportConfig(to=block), progress=Silent())
    section = DOCUMENT.read_text().partition("## Hugging Face")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.S)
    code = dict(zip(("parquet", "imagefolder", "shards"), blocks, strict=True))[block]
    code = code.replace("SHARDS", str(shards))
    found: dict[str, Any] = {}
    exec(compile(code, "docs/trainers.md", "exec"), found)
    data = found["data"]
    assert len(data) == 12 and {"image", "label"} <= set(data.column_names)
    names = data.features["label"].names
    assert names == json.loads((shards / "index.json").read_text())["classes"] == list(classes)
    assert all(data[row]["image"].size == (8, 8) for row in range(12))
    sums = {sum(data[row]["image"].convert("RGB").tobytes()) for row in range(12)}
    assert int(pixels_of("000000", 8, 3).astype("int64").sum()) in sums
    counts = {name: 0 for name in names}
    for row in range(12):
        counts[names[data[row]["label"]]] += 1
    assert counts == dict.fromkeys(classes, 6)
