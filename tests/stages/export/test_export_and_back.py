"""Every export passes `check` for its trainer, and `ingest` reads every layout back."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made import make_corpus, pixels_of
from PIL import Image

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.trainers.requirements import size_problems
from scoremix.manifests.trainers.spec import TrainerSpec
from scoremix.manifests.trainers.table import TRAINERS
from scoremix.stages.check.check import check_corpus
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus
from scoremix.stages.export.export import ExportConfig, export
from scoremix.stages.ingest.ingest import IngestConfig, ingest

SIDE = 32
IMAGES = 20  # StarGAN v2 loads eight at a time


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], Path]:
    return {
        (SIDE, channels): make_corpus(
            tmp_path_factory.mktemp("made"), images=IMAGES, side=SIDE, channels=channels, ratio=2
        )
        for channels in (1, 3)
    }


def corpus_for(spec: TrainerSpec, shards: dict[tuple[int, int], Path], channels: int) -> Path:
    if size_problems(spec, SIDE, SIDE):
        pytest.skip(f"{spec.trainer} reads {spec.sides} px alone in {spec.target}")
    if spec.least_images > 3 * IMAGES:
        pytest.skip(f"{spec.trainer} takes no fewer than {spec.least_images} images")
    return shards[SIDE, channels]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spec", TRAINERS, ids=lambda p: f"{p.trainer}-{p.target}")
def test_what_is_exported_for_a_trainer_passes_its_check(
    spec: TrainerSpec, channels: int, shards: dict[tuple[int, int], Path], tmp_path: Path
) -> None:
    source = corpus_for(spec, shards, channels)
    out = tmp_path / ("out.zip" if spec.target == "stylegan" else "out")
    config = ExportConfig(to=spec.target, trainer=spec.trainer)
    export(source, out, config, progress=Silent())
    (verdict,) = check_corpus(out, spec.trainer, Silent())
    assert verdict.readable, verdict


# --- the way back


def back(tmp_path: Path, source: Path, path: str | None = None) -> Corpus:
    config = IngestConfig(
        source=str(source), path=path, resolution=SIDE, holdout=0, duplicates="keep"
    )
    return ingest(config, tmp_path / "corpus", seed=0, progress=Silent())


def expected(shards: Path) -> dict[str, int]:
    """Class of every image, by its pixels' hash; real and augmented ones."""
    rows = pq.read_table(shards / "manifest.parquet").to_pylist()
    return {row["pixel_sha256"]: row["class_id"] for row in rows}


@pytest.mark.parametrize(
    ("target", "trainer", "path"),
    [
        ("stylegan", None, None),
        ("imagefolder", None, "train"),
        ("imagefolder", "biggan", None),
        ("unpaired", None, None),
        ("hdf5", "biggan", None),
        ("hdf5", "studiogan", None),
        ("lmdb", None, None),
        ("parquet", None, None),
    ],
)
@pytest.mark.parametrize("as_zip", [False, True])
def test_a_layout_is_read_back(
    target: str,
    trainer: str | None,
    path: str | None,
    as_zip: bool,
    shards: dict[tuple[int, int], Path],
    tmp_path: Path,
) -> None:
    if as_zip and target != "stylegan":
        pytest.skip("a zip of StyleGAN alone")
    source = shards[SIDE, 3]
    out = tmp_path / ("out.zip" if as_zip else "out")
    config = ExportConfig(to=target, trainer=trainer)
    export(source, out, config, progress=Silent())
    (inside,) = out.glob("*.hdf5") if target == "hdf5" else [out]
    corpus = back(tmp_path, inside, path)
    found = corpus.sources.filter(corpus.sources["status"].to_numpy() == "train").to_pylist()
    whole = expected(source)
    assert Counter(row["pixel_sha256"] for row in found) == Counter(whole.keys())
    if target == "lmdb":
        assert corpus.classes == []
    else:
        assert len(corpus.classes) == 2
        assert all(row["class_id"] == whole[row["pixel_sha256"]] for row in found)
    if target == "parquet":
        assert corpus.classes == ["cat", "dog"]
    if target in ("stylegan", "hdf5", "lmdb", "parquet"):  # one list, in the order of the shards
        keys = pq.read_table(source / "manifest.parquet", columns=["pixel_sha256"]).to_pydict()
        if target != "stylegan":
            assert [row["pixel_sha256"] for row in found] == keys["pixel_sha256"]


def test_our_own_shards_are_read_back(shards: dict[tuple[int, int], Path], tmp_path: Path) -> None:
    source = shards[SIDE, 3]
    with pytest.raises(ConfigError, match="holds augmented images of a corpus"):
        back(tmp_path, source)
    made = back(tmp_path, Path(f"{source}/aug-*.tar"))
    assert made.classes == ["cat", "dog"] and len(made.images) == 2 * IMAGES
    real = back(tmp_path / "real", Path(f"{source}/real-*.tar"))
    assert len(real.images) == IMAGES
    first = pq.read_table(source / "manifest.parquet").to_pylist()[0]["key"]
    assert (real.images[0] == pixels_of(first, SIDE, 3)).all()
    assert np.asarray(Image.fromarray(real.images[0])).shape == (SIDE, SIDE, 3)
