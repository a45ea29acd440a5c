"""init: a stages.yaml that fits the images it was shown."""

from pathlib import Path

import numpy as np
import pytest
from in_process import cli
from PIL import Image

from scoremix.pipeline.config import Config, load_stages

ROOT = Path(__file__).resolve().parents[3]


def make_photos(folder: Path, count: int, size: tuple[int, int], classes: int = 0) -> Path:
    random = np.random.default_rng(3)
    for index in range(count):
        inside = folder / f"class {index % classes}" if classes else folder
        inside.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(inside / f"{index:04d}.png")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fitted(*words: object) -> tuple[Config, str]:
    """The config and the text of the file that init writes, on a CPU."""
    assert cli("init", "stages.yaml", *words, "--device", "cpu") == 0
    return load_stages(Path("stages.yaml"), []), Path("stages.yaml").read_text()


def test_photographs_are_made_at_a_size_at_which_they_can_be_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_photos(tmp_path / "photos", 120, (300, 200), classes=3)
    config, text = fitted("--data", "photos/")
    assert config.ingest.source == str(tmp_path / "photos")
    assert config.run == str(tmp_path / "runs" / "photos")
    assert config.ingest.resolution == 32 and config.generate.ratio == 1
    assert config.ingest.fraction is None and config.ingest.holdout == 0.1
    assert "120 images, in colour; short side 200 px" in text
    assert "3 classes: class 0 (40), class 1 (40), class 2 (40)" in text
    assert "# crop (centre) cuts off 33% of the usual image" in text
    assert "images: 200 px" in text  # the reason of the size
    assert "source: photos " in text  # the folder may be moved with the file
    out = capsys.readouterr().out
    assert "120 images" in out and "scoremix-pipeline run stages.yaml" in out
    new = set(text.splitlines()) - set((ROOT / "stages.yaml").read_text().splitlines())
    assert max(map(len, new)) <= 100 and len(new) > 8


@pytest.mark.parametrize(
    ("size", "side"),
    [((8, 8), 8), ((28, 28), 28), ((33, 33), 32), ((20, 60), 20), ((900, 700), 32)],
)
def test_the_side_is_the_images_own_or_the_largest_that_is_quick(
    size: tuple[int, int], side: int, tmp_path: Path
) -> None:
    make_photos(tmp_path / "photos", 4, size)
    assert fitted("--data", "photos")[0].ingest.resolution == side


@pytest.mark.parametrize(
    ("count", "holdout"), [(12, None), (99, None), (100, 0.1), (250, 0.2), (400, 0.15)]
)
def test_as_many_are_held_out_as_can_be_spared(
    count: int, holdout: float | None, tmp_path: Path
) -> None:
    make_photos(tmp_path / "photos", count, (9, 9))
    assert fitted("--data", "photos")[0].ingest.holdout == holdout


def test_a_large_set_begins_with_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_photos(tmp_path / "photos", 30, (9, 9))
    monkeypatch.setattr("scoremix.pipeline.init_file._MANY", 10)
    config, text = fitted("--data", "photos")
    assert (config.ingest.limit, config.ingest.fraction, config.ingest.holdout) == (10, None, None)
    assert "a part of 30 to begin with" in text


def test_a_class_of_one_image_does_not_stop_the_run(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 5, (9, 9), classes=4)  # two of class 0, one of the others
    config, text = fitted("--data", "photos")
    assert config.generate.lone_class == "self" and "class 1 has one image" in text


@pytest.mark.parametrize("name", ["yes", "01", "a: b", "später #1", "null"])
def test_a_name_that_yaml_would_read_otherwise_is_quoted(name: str, tmp_path: Path) -> None:
    make_photos(tmp_path / name, 3, (9, 9))
    assert fitted("--data", name)[0].ingest.source == str(tmp_path / name)


def test_a_part_of_a_dataset_is_named_by_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_photos(tmp_path / "set" / "train", 3, (9, 9))
    make_photos(tmp_path / "set" / "test", 2, (9, 9))
    assert cli("init", "--data", "set") == 2
    assert "parts of a dataset" in capsys.readouterr().err
    assert not (tmp_path / "stages.yaml").exists()
    assert fitted("--data", "set", "--path", "train")[0].ingest.path == "train"


def test_no_source_and_nobody_to_ask_gives_the_file_of_the_digits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli("init") == 0
    assert Path("stages.yaml").read_text() == (ROOT / "stages.yaml").read_text()
    assert "--data photos/" in capsys.readouterr().out


def test_on_a_terminal_the_source_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photos(tmp_path / "photos", 4, (40, 40))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", lambda text, **_: "photos")
    assert cli("init", "--device", "cpu") == 0
    assert load_stages(Path("stages.yaml"), []).ingest.source == str(tmp_path / "photos")


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "seed: 1\n", "ingest:\n", "ingest: {limit: 5}\n"]
)
def test_a_file_without_a_source_builds_nothing(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("stages.yaml").write_text(text)
    for words in (["run", "stages.yaml"], ["augment", "--out", "shards"]):
        assert cli(*words) == 2
        message = capsys.readouterr().err
        assert "names no images" in message and "init --data" in message
    assert [path.name for path in tmp_path.iterdir()] == ["stages.yaml"]


def test_a_source_may_come_by_set(tmp_path: Path) -> None:
    Path("stages.yaml").write_text("seed: 1\n")
    config = load_stages(Path("stages.yaml"), ["ingest.source=digits"])
    assert (config.seed, config.ingest.source) == (1, "digits")


@pytest.mark.parametrize("data", ["faces/", "./faces"])
def test_a_folder_called_like_a_bundled_set_is_that_folder(tmp_path: Path, data: str) -> None:
    make_photos(tmp_path / "faces", 60, (64, 64))
    config, _ = fitted("--data", data)
    assert config.ingest.source == str(tmp_path / "faces")
