"""verify --deep decodes what a hash cannot judge; verify --subset reads a part at a time."""

import hashlib
import io
from pathlib import Path

import made
import pytest
from in_process import cli
from PIL import Image

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.published.partition import Partition
from scoremix.manifests.published.verify import verify


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """2 real and 4 augmented shards of 4 and 2 images."""
    return made.make_corpus(tmp_path)


def flip(path: Path, position: int) -> bytes:
    data = path.read_bytes()
    path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
    return data


@pytest.mark.parametrize("channels", [1, 3])
def test_a_whole_corpus_is_deeply_whole(channels: int, tmp_path: Path) -> None:
    assert verify(made.make_corpus(tmp_path, channels=channels), deep=True) == []


def png_of(side: int, *, cut: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (9, 200, 3)).save(file, "PNG")
    return file.getvalue()[: len(file.getvalue()) - cut]


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (png_of(8), "decodes to other pixels than those that were made"),
        (png_of(9), "is 9 x 9 px, the manifest says 8 x 8"),
        (png_of(8, cut=25), "cannot be decoded"),
        (b"no image at all", "cannot be decoded"),
    ],
    ids=["pixels", "size", "cut", "rubbish"],
)
def test_only_deep_finds_what_a_writer_did_wrong(
    image: bytes, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every hash agrees, for the wrong bytes were written; the pixels' hash does not."""
    samples = made._samples

    def wrong(*arguments):  # type: ignore[no-untyped-def]
        for sample in samples(*arguments):
            if sample.row["key"] == "000003-002":
                sample = made.Sample(**{**vars(sample), "image": image})
            yield sample

    monkeypatch.setattr(made, "_samples", wrong)
    shards = made.build_corpus(tmp_path)
    assert verify(shards) == []
    (problem,) = verify(shards, deep=True)
    assert problem.file.startswith("aug-") and problem.file.endswith(".tar")
    assert problem.what.startswith(f"image 000003-002 {told}")
    assert cli("verify", shards) == 0 and cli("verify", shards, "--deep") == 3


@pytest.mark.parametrize("parts", [1, 2, 3, 6, 9])
def test_all_parts_together_find_everything_and_each_only_its_own(parts: int, corpus: Path) -> None:
    large = [path for path in corpus.iterdir() if path.suffix in (".tar", ".parquet")]
    shards = [path for path in large if "-" in path.name]
    assert len(shards) == 12
    for path in shards:
        whole = flip(path, path.stat().st_size // 2)
        found = [
            number
            for number in range(1, parts + 1)
            if {problem.file for problem in verify(corpus, part=Partition(number, parts))}
            == {path.name}
        ]
        assert len(found) == 1, path.name
        path.write_bytes(whole)
    assert all(verify(corpus, part=Partition(n, parts)) == [] for n in range(1, parts + 1))


def test_every_part_finds_damaged_small_files_and_what_is_gone_or_cut_or_extra(
    corpus: Path,
) -> None:
    small = ["SHA256SUMS", "index.json", "README.md", "croissant.json"]
    small += ["plan.parquet", "manifest.parquet"]
    for name in [*small, "real-000001.json", "aug-000002.json"]:
        whole = flip(corpus / name, 70)
        for number in (1, 2, 3):
            assert name in {p.file for p in verify(corpus, part=Partition(number, 3))}, (
                name,
                number,
            )
        (corpus / name).write_bytes(whole)
    for name in ("aug-000001.tar", "real-000000.parquet"):
        whole = (corpus / name).read_bytes()
        (corpus / name).unlink()
        for number in (1, 2, 3):
            assert [p.file for p in verify(corpus, part=Partition(number, 3))] == [name]
        (corpus / name).write_bytes(whole[:-1])
        for number in (1, 2, 3):
            assert name in {p.file for p in verify(corpus, part=Partition(number, 3))}, (
                name,
                number,
            )
        (corpus / name).write_bytes(whole)
    (corpus / "aug-000099.tar").write_bytes(b"")
    for number in (1, 2, 3):
        assert {p.file for p in verify(corpus, part=Partition(number, 3))} == {"aug-000099.tar"}


def test_a_part_does_not_read_the_others(corpus: Path) -> None:
    """Counted, not timed: the bytes of other parts may be anything of their size."""
    names = sorted(path.name for path in corpus.iterdir())
    left = Partition(2, 3).other_files(names)
    assert len(left) == 8
    for name in left:
        flip(corpus / name, 600)
    assert verify(corpus, part=Partition(2, 3)) == []
    assert {problem.file for problem in verify(corpus)} == left


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5", ""])
def test_a_part_that_cannot_be(text: str, corpus: Path) -> None:
    with pytest.raises(ConfigError, match="use N/T"):
        Partition.parse(text)
    if text:
        assert cli("verify", corpus, "--subset", text) == 2


def test_the_command(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("verify", corpus, "--deep", "--subset", "1/2") == 0
    told = capsys.readouterr().out
    assert "part 1/2" in told and "decodes to its pixels" in told
    whole = hashlib.sha256((corpus / "aug-000000.tar").read_bytes()).hexdigest()
    flip(corpus / "aug-000000.tar", 700)
    assert cli("verify", corpus, "--subset", "1/1") == 3
    out, error = capsys.readouterr()
    assert "aug-000000.tar" in out and whole in out and "scoremix-pipeline repair" in error
