"""What is in a source before options are chosen for it."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from scoremix.manifests.errors import ConfigError, InputError
from scoremix.stages.ingest.config import IngestConfig
from scoremix.stages.ingest.survey import survey_source


def photograph(path: Path, seed: int, size: tuple[int, int] = (60, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of three and two, one copy, one broken file, a text."""
    folder = tmp_path / "photos"
    for seed in range(3):
        photograph(folder / "cats" / f"{seed}.png", seed)
    for seed in (3, 4):
        photograph(folder / "dogs" / f"{seed}.png", seed, (90, 80))
    (folder / "dogs" / "copy.png").write_bytes((folder / "dogs" / "3.png").read_bytes())
    (folder / "dogs" / "torn.png").write_bytes((folder / "dogs" / "4.png").read_bytes()[:900])
    (folder / "notes.txt").write_text("none of them")
    return folder


def test_a_survey_counts_what_is_there(photos: Path) -> None:
    found = survey_source(IngestConfig(source=str(photos)), workers=1)
    assert (found.images, found.others) == (7, 1)
    assert found.classes == {"cats": 3, "dogs": 4}
    assert found.sides == (40, 80, 80)
    assert found.aspect == 90 / 80
    assert not found.all_gray and found.suggested is None
    assert found.copies == 1
    assert list(found.bad) == ["dogs/torn.png"] and found.decoded == 7


def test_copies_in_a_zip_are_found_by_their_bytes(photos: Path, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(photos.rglob("*.png")):
            archive.write(path, path.relative_to(photos))
    assert survey_source(IngestConfig(source=str(tmp_path / "photos.zip")), workers=1).copies == 1


def test_a_bundled_set_says_its_own_size() -> None:
    found = survey_source(IngestConfig(source="digits"), workers=1)
    assert (found.images, found.suggested, found.all_gray) == (1797, 8, True)
    assert sum(found.classes.values()) == 1797 and len(found.classes) == 10


def test_what_is_no_source_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        survey_source(IngestConfig(source=str(tmp_path / "nowhere")), workers=1)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    with pytest.raises(InputError, match="none is an image"):
        survey_source(IngestConfig(source=str(tmp_path / "texts")), workers=1)
