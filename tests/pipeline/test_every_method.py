"""Every method through the whole pipeline, at tiny size: bytes, resume, workers, repair, forget."""

import json
import shutil
from pathlib import Path

import pytest
import tiny
from in_process import cli

from scoremix.manifests.files.atomic import read_parquet
from scoremix.manifests.plan.methods import ONE_PARENT

METHODS: dict[str, dict[str, object]] = {
    "scoremix": {"method": "scoremix"},
    "bridge": {"method": "bridge"},
    "bridge, fresh noise": {"method": "bridge", "keep": "none", "gamma": 0.3, "t0": 1.0},
    "mixup, contrast kept": {"method": "mixup", "contrast": "kept"},
    "cutmix": {"method": "cutmix"},
    "fmix": {"method": "fmix"},
    "fmix, repaired": {"method": "fmix", "repair_t0": 0.3},
    "augmix": {"method": "augmix"},
    "renoise": {"method": "renoise"},
    "sample": {"method": "sample"},
    "sample, guided": {"method": "sample", "guidance": 1.5},
}
ABOUT_MEANS = {"bridge", "mixup, contrast kept", "sample", "sample, guided"}
# Of the default run; the others in `make faults`.
HERE = ["bridge", "fmix", "augmix", "sample"]


def options(name: str) -> list[str]:
    changed = {f"generate__{key}": value for key, value in METHODS[name].items()}
    if "guidance" in METHODS[name]:
        # Which alone keeps a guide, a state before the chosen one.
        changed |= {"train__network": "unet", "train__checkpoint_every": 1}
    return tiny.options(**changed)


def build(root: Path, name: str, *more: str) -> int:
    data = tiny.make_images(root / "images")
    return cli(
        "augment", "--data", data, "--out", root / "shards", "--quiet", *options(name), *more
    )


@pytest.fixture(scope="module", params=tiny.mostly_in_faults(list(METHODS), HERE))
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, shards/ and shards.run/ of an undisturbed build; NAME is the method's."""
    root = tmp_path_factory.mktemp("done")
    assert build(root, request.param) == 0
    (root / "NAME").write_text(request.param)
    return root


@pytest.fixture
def root(done: Path, tmp_path: Path) -> Path:
    shutil.copytree(done, tmp_path / "copy")
    return tmp_path / "copy"


def test_what_it_made_is_whole_and_says_by_which_method(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = METHODS[(done / "NAME").read_text()]
    method = options["method"]
    named = str(method) + (", contrast kept" if options.get("contrast") == "kept" else "")
    assert cli("verify", done / "shards", "--deep") == 0
    assert cli("inspect", done / "shards") == 0
    assert f"by {named}\n" in capsys.readouterr().out
    assert cli("inspect", done / "shards", "000001-001") == 0
    assert f"made by {named}, round 1" in capsys.readouterr().out
    rows = read_parquet(done / "shards" / "manifest.parquet").to_pylist()
    made = [row for row in rows if row["kind"] == "augmented"]
    assert len(made) == 32 and {row["method"] for row in made} == {method}
    card = (done / "shards" / "README.md").read_text()
    assert f"| method | {named} |" in card
    for text in (card, (done / "shards" / "croissant.json").read_text()):
        assert str(method) in text and ("mixture of two real" in text) != (method in ONE_PARENT)
    assert ("near-copies" in card) != (method in ONE_PARENT)
    metrics = json.loads((done / "shards.run" / "report" / "metrics.json").read_bytes())
    assert metrics["reproduced"]["share"] == 1.0 and str(method) in metrics["method"]
    if method in ONE_PARENT:
        assert all(row["source_1"] == row["source_2"] and row["lambda"] == 1 for row in made)
        assert metrics["lambda_from_0.1"]["n"] == metrics["rows"] == 12, "all are judged"
    if method in ("cutmix", "fmix"):
        assert all((64 * row["lambda"]).is_integer() for row in made)
    assert (done / "shards.run" / "report" / "index.html").is_file()


def test_a_lost_and_a_damaged_shard_come_back_with_their_bytes(root: Path) -> None:
    shards, before = root / "shards", tiny.digests(root / "shards")
    (shards / "aug-000001.tar").unlink()
    (shards / "aug-000002.tar").write_bytes(b"damage")
    assert cli("verify", shards) == 3
    assert cli("repair", shards, "--quiet") == 0
    assert tiny.digests(shards) == before


def test_two_workers_one_after_the_other_leave_the_bytes_of_one(done: Path, tmp_path: Path) -> None:
    name = (done / "NAME").read_text()
    assert build(tmp_path, name, "--until", "plan") == 0
    for worker in ("1/2", "0/2"):
        assert build(tmp_path, name, "--worker", worker) == 0
    assert tiny.digests(tmp_path / "shards") == tiny.digests(done / "shards")


def test_a_higher_ratio_leaves_the_first_rounds_as_they_are(root: Path) -> None:
    shards, before = root / "shards", tiny.digests(root / "shards")
    run = root / "shards.run" / "stages.yaml"
    assert cli("run", run, "--set", "generate.ratio=3", "--until", "write", "--quiet") == 0
    after = tiny.digests(shards)
    kept = {name: digest for name, digest in before.items() if "-0" in name}
    assert kept.items() <= after.items() and len(after) > len(before)


def test_a_lower_ratio_is_refused_before_anything_changes(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = root / "shards.run"
    stages = json.loads((run / "stages.lock.json").read_bytes())["stages"]
    before, asked = tiny.digests(root / "shards"), (run / "stages.yaml").read_bytes()
    words = ("run", run / "stages.yaml", "--set", "generate.ratio=1")
    for more in ("--dry-run", "--quiet", "--until=write", "--until=train"):
        assert cli(*words, more) == 2
        assert "holds finished rounds up to 2" in capsys.readouterr().err
    assert before == tiny.digests(root / "shards")
    assert stages == json.loads((run / "stages.lock.json").read_bytes())["stages"]
    assert (run / "stages.yaml").read_bytes() == asked
    assert cli("status", run) == 0 and "missing" not in capsys.readouterr().out


@pytest.fixture
def about_means(root: Path) -> Path:
    """Mean images are of all images; shards made about them outlive the forgotten ones."""
    name, means = (root / "NAME").read_text(), root / "shards.run" / "means.safetensors"
    assert means.exists() == (name in ABOUT_MEANS)
    if name not in ABOUT_MEANS:
        pytest.skip("a method without mean images")
    return root


def test_shards_are_repaired_after_it(about_means: Path) -> None:
    shards, means = about_means / "shards", about_means / "shards.run" / "means.safetensors"
    before = means.read_bytes()
    means.unlink()  # nobody misses it while the images are there
    assert cli("forget", about_means / "shards.run", "000003", "--quiet") == 0
    assert means.read_bytes() == before
    whole = tiny.digests(shards)
    (shards / "aug-000001.tar").unlink()
    assert cli("repair", shards, "--quiet") == 0
    assert tiny.digests(shards) == whole
    assert cli("run", about_means / "shards.run" / "stages.yaml", "--quiet") == 0
    assert cli("verify", shards, "--deep") == 0


def test_without_the_file_it_is_said_and_retraining_makes_another(
    about_means: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, means = about_means / "shards.run", about_means / "shards.run" / "means.safetensors"
    before = means.read_bytes()
    assert cli("forget", run, "000003", "--quiet") == 0
    means.unlink()
    for command in (["repair", about_means / "shards"], ["run", run / "stages.yaml"]):
        assert cli(*command, "--quiet") == 3
        assert "cannot be computed any more" in capsys.readouterr().err
    assert cli("forget", run, "--retrain", "--quiet") == 0
    assert means.read_bytes() != before
    assert cli("verify", about_means / "shards") == 0


def test_lost_with_all_images_there_it_is_computed_again(about_means: Path) -> None:
    means = about_means / "shards.run" / "means.safetensors"
    before, shards = means.read_bytes(), tiny.digests(about_means / "shards")
    means.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    (about_means / "shards" / "aug-000001.tar").unlink()
    assert cli("repair", about_means / "shards", "--quiet") == 0
    assert tiny.digests(about_means / "shards") == shards
    assert cli("run", about_means / "shards.run" / "stages.yaml", "--quiet") == 0
    assert means.read_bytes() == before
