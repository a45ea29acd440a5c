"""A GAN's images against the run's real ones: order, copies, snapshots, and what is refused."""

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray
from PIL import Image
from scenes import SIDE, Images, cli, judged, make_run, save, scenes, value

from scoremix.manifests.errors import ConfigError, InputError
from scoremix.models.features.errors import FeaturesError
from scoremix.stages.corpus.store import open_corpus
from scoremix.stages.gan_samples.best import choose_best_snapshot
from scoremix.stages.gan_samples.grids import is_grid, why_no_sample
from scoremix.stages.gan_samples.sets import find_sets, natural_sort_key
from scoremix.stages.images.input import Input
from scoremix.stages.sources.numpy_files import open_numpy


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("generated"))


def test_unseen_real_images_are_nearer_than_blurred_ones(run: Path, tmp_path: Path) -> None:
    """The same scenes, sharp and blurred; grain cannot hide in so few pixels."""
    unseen = scenes(120, 3)
    sharp = judged(run, save(unseen, tmp_path / "sharp"), name="sharp")
    soft = judged(run, save(unseen, tmp_path / "soft", blur=4.0), name="soft")
    (one,), (other,) = sharp["sets"], soft["sets"]
    assert one["kernel"]["value"] + 2 * one["kernel"]["standard_error"] < other["kernel"]["value"]
    for name, better in (("fd_random", -1), ("recall_random", 1)):
        difference = value(one["records"], name) - value(other["records"], name)
        assert difference * better > 0, name
    assert sharp["kd"] == "kd_random" and sharp["best"] is None and sharp["held_out"] == 80
    assert one["copying"]["kind"] == "not copying" and one["exact_copies"]["count"] == 0
    assert value(sharp["real"], "kd_random", "training images") < other["kernel"]["value"]
    assert value(sharp["real"], "copies_pixels", "held-out images") == 0


def test_equal_images_give_equal_figures_whatever_holds_them(run: Path, tmp_path: Path) -> None:
    images = scenes(60, 4)
    folder = save(images, tmp_path / "folder")
    first = judged(run, folder)
    text = (run / "report" / "generated" / "samples.json").read_bytes()
    judged(run, folder)
    assert (run / "report" / "generated" / "samples.json").read_bytes() == text
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"deep/er/{path.name}")
        archive.writestr("network-snapshot.pkl", b"no image")
    np.savez(tmp_path / "last.npz", arr_0=images, labels=np.arange(60))
    np.savez_compressed(tmp_path / "first.npz", x=images.transpose(0, 3, 1, 2), y=np.arange(60))
    np.save(tmp_path / "plain.npy", images)
    for name in ("some.zip", "last.npz", "first.npz", "plain.npy"):
        (one,) = judged(run, tmp_path / name)["sets"]
        assert one["digest"] == first["sets"][0]["digest"], name
        assert one["kernel"] == first["sets"][0]["kernel"], name


def test_other_sizes_and_modes_are_prepared_as_ingest_does(run: Path, tmp_path: Path) -> None:
    images = scenes(50, 5)
    folder = tmp_path / "mixed"
    save(images[:20], folder / "plain")
    (folder / "large").mkdir()
    for number, pixels in enumerate(images[20:]):
        image = Image.fromarray(pixels).resize((32, 32), Image.Resampling.LANCZOS)
        image.convert("RGBA" if number % 2 else "RGB").save(folder / "large" / f"{number}.webp")
    (one,) = judged(run, folder, "--no-snapshots")["sets"]
    assert (one["judged"], one["sizes"]) == (50, {"16x16": 20, "32x32": 30})


def test_copies_are_flagged_and_named(run: Path, tmp_path: Path) -> None:
    corpus = open_corpus(run / "corpus")
    training = np.array(corpus.images[:30])
    nearly = np.array(corpus.images[30:60])
    nearly[:, 0, 0] ^= 1
    folder = save(np.concatenate([training, nearly, scenes(40, 6)]), tmp_path / "copied")
    report = judged(run, folder, name="copied")
    (one,) = report["sets"]
    assert one["copying"]["kind"] == "copying"
    assert one["exact_copies"]["count"] == 30
    assert one["exact_copies"]["first"][0] == {"name": "seed0000.png", "training": "000000"}
    assert 0.5 < value(one["records"], "copies_pixels") < 0.7
    assert one["nearest"][0]["ratio"] == pytest.approx(0, abs=1e-6)
    assert any("COPYING" in line for line in report["text"])
    assert any("ARE training images" in line for line in report["text"])
    with Image.open(run / "report" / "generated" / "copied.png") as sheet:
        assert sheet.height == 2 * 96 + 4
    held_out = judged(run, save(np.array(corpus.reference), tmp_path / "held"), name="held")
    assert held_out["sets"][0]["held_out_images"] == 80
    collapsed = save(np.repeat(scenes(3, 7), 20, axis=0), tmp_path / "collapsed")
    assert judged(run, collapsed)["sets"][0]["alike"] == 57


def test_snapshots_are_in_natural_order_and_the_best_is_named(run: Path, tmp_path: Path) -> None:
    for step, blur in ((200, 3.0), (1000, 0.0), (30, 4.0), (10000, 2.0)):
        save(scenes(100, 8), tmp_path / "fakes" / f"network-{step}", blur=blur)
    (tmp_path / "fakes" / "log.txt").write_text("no image")
    report = judged(run, tmp_path / "fakes", name="fakes")
    names = [f"network-{step}" for step in (30, 200, 1000, 10000)]
    assert [one["name"] for one in report["sets"]] == names
    assert report["best"]["name"] == "network-1000" and report["best"]["alike"] == []
    assert report["text"][0].startswith("Best of 4 snapshots: network-1000")
    page = (run / "report" / "index.html").read_text()
    assert "Generated images" in page and "network-10000" in page


def test_snapshots_that_are_alike_are_said_to_be(run: Path, tmp_path: Path) -> None:
    for step, (seed, blur) in enumerate(((9, 0.0), (10, 0.0), (11, 4.0))):
        save(scenes(100, seed), tmp_path / "alike" / f"{step}", blur=blur)
    report = judged(run, tmp_path / "alike")
    assert {report["best"]["name"], *(one["name"] for one in report["best"]["alike"])} == {"0", "1"}
    assert "Not significantly farther: " in report["text"][0]


def test_the_best_by_hand() -> None:
    facts = [{"name": name, "records": []} for name in "abc"]
    noise = np.linspace(-1, 1, 200)
    values = [np.concatenate([[mean], mean + noise * width]) for mean, width in
              ((3.0, 1.0), (2.0, 1.0), (2.5, -1.0))]  # fmt: skip
    best = choose_best_snapshot(list(zip(facts, values, strict=True)))
    assert best is not None and best["name"] == "b"
    assert [one["name"] for one in best["alike"]] == ["c"]  # a is 1 away in every resample
    assert choose_best_snapshot([(facts[0], values[0])]) is None


def test_what_counts_as_snapshots(tmp_path: Path) -> None:
    few = scenes(2, 1)
    for name in ("0_cat", "1_dog"):
        save(few, tmp_path / "classes" / name)
    assert [one.name for one in find_sets(tmp_path / "classes", None, ("cat", "dog"))] == [
        "classes"
    ]
    for name in ("10", "9", "008"):
        save(few, tmp_path / "steps" / name)
    found = find_sets(tmp_path / "steps", None, ("cat", "dog"))
    assert [one.name for one in found] == ["008", "9", "10"]
    assert len(find_sets(tmp_path / "steps", None, ("008", "9", "10", "11"))) == 1
    assert len(find_sets(tmp_path / "steps", False, ())) == 1
    np.savez(tmp_path / "steps" / "11.npz", few)
    np.save(tmp_path / "steps" / "11.npy", few)
    found = find_sets(tmp_path / "steps", True, ())
    assert [one.name for one in found] == ["008", "9", "10", "11.npy", "11.npz"]
    save(few, tmp_path / "steps")  # images in the folder itself: one set
    assert len(find_sets(tmp_path / "steps", None, ())) == 1
    with pytest.raises(ConfigError, match="--snapshots asks for"):
        find_sets(tmp_path / "classes" / "0_cat", True, ())
    assert sorted(["a10", "a9", "a"], key=natural_sort_key) == ["a", "a9", "a10"]


def test_damaged_files_are_named_and_left_out(run: Path, tmp_path: Path) -> None:
    folder = save(scenes(60, 12), tmp_path / "damaged")
    whole = (folder / "seed0007.png").read_bytes()
    (folder / "seed0007.png").write_bytes(whole[: len(whole) // 2])
    report = judged(run, folder)
    (one,) = report["sets"]
    assert (one["judged"], one["left_out"]["count"]) == (59, 1)
    assert one["left_out"]["first"][0]["name"] == "seed0007.png"
    assert any("seed0007.png" in line for line in report["text"])
    for path in sorted(folder.iterdir())[:35]:
        path.write_bytes(b"rubbish")
    assert cli("evaluate", run, "--generated", folder, "--quiet") == InputError.exit_code


def grid(images: Images, across: int, pad: int = 0) -> Image.Image:
    side = images.shape[1]
    size = across * (side + pad) + pad
    sheet = Image.new("RGB", (size, size))
    for number, pixels in enumerate(images[: across * across]):
        column, row = number % across, number // across
        corner = (pad + column * (side + pad), pad + row * (side + pad))
        sheet.paste(Image.fromarray(pixels), corner)
    return sheet


def as_input(image: Image.Image) -> Input:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return Input("grid.png", buffer.getvalue)


@pytest.mark.parametrize(("across", "pad"), [(4, 0), (8, 0), (3, 2), (8, 2), (20, 0)])
def test_a_grid_is_told_from_a_large_sample(across: int, pad: int) -> None:
    images = scenes(400, 13)
    sheet = grid(images, across, pad)
    assert why_no_sample(as_input(sheet), *sheet.size, SIDE), sheet.size
    for pixels in images[:20]:
        size = (min(sheet.width, 8 * SIDE),) * 2
        for how in (Image.Resampling.LANCZOS, Image.Resampling.NEAREST):
            large = Image.fromarray(pixels).resize(size, how)
            assert why_no_sample(as_input(large), *size, SIDE) is None


def test_tiles_with_an_even_border_are_a_grid() -> None:
    digits = np.zeros((16, SIDE, SIDE, 3), np.uint8)
    digits[:, 3:13, 3:13] = scenes(16, 14)[:, 3:13, 3:13]
    assert is_grid(grid(digits, 4).convert("L"), SIDE)


def test_a_grid_is_refused_with_what_to_do(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(scenes(60, 15), tmp_path / "training-run")
    grid(scenes(64, 16), 8).save(folder / "fakes000200.png")
    Image.new("RGB", (64, 32)).save(folder / "wide.png")
    assert cli("evaluate", run, "--generated", folder, "--quiet") == InputError.exit_code
    error = capsys.readouterr().err
    assert "fakes000200.png: 128x128 px, with far more in it than one image of 16 px" in error
    assert "wide.png: 64x32 px" in error and "one square file for each image" in error


def test_numpy_files_that_hold_no_images(tmp_path: Path) -> None:
    cases = {
        "float.npz": {"x": scenes(3, 1).astype(np.float32)},
        "two.npz": {"a": scenes(3, 1), "b": scenes(3, 2)},
        "flat.npz": {"x": np.zeros((3, 5), np.uint8)},
    }
    for name, arrays in cases.items():
        np.savez(tmp_path / name, **arrays)
        with pytest.raises(ConfigError, match="one array of images"):
            open_numpy(tmp_path / name)
    (tmp_path / "bad.npz").write_bytes(b"PK rubbish")
    with pytest.raises(InputError, match="could not be read as a NumPy file"):
        open_numpy(tmp_path / "bad.npz")
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object))
    with pytest.raises(InputError, match="arrays of objects"):
        open_numpy(tmp_path / "objects.npy")


def test_what_cannot_be_judged_is_explained(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = save(scenes(60, 17), tmp_path / "few")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("text")
    for path, code, told in (
        (tmp_path / "empty", 4, "holds no image"),
        (tmp_path / "nowhere", 2, "nothing there"),
        (tmp_path / "notes.txt", 2, "is no folder, zip"),
    ):
        assert cli("evaluate", run, "--generated", path, "--quiet") == code
        assert told in capsys.readouterr().err
    for words, told in (
        (["--snapshots"], "is about generated images"),
        (["--generated", few, "--name", "../out"], "file's name"),
        (["--generated", few, "--set", "ingest.limit=3"], "does not hold for --generated"),
        (["--generated", few, "--features", tmp_path / "no.pt"], "there is no such file"),
        (["--generated", few, "--lpips", tmp_path / "no.pth"], "there is no such file"),
    ):
        assert cli("evaluate", run, "--quiet", *words) == 2
        assert told in capsys.readouterr().err


def test_no_stage_becomes_stale_and_no_shard_changes(run: Path, tmp_path: Path) -> None:
    before = tiny.digests(run / "shards"), (run / "stages.lock.json").read_bytes()
    judged(run, save(scenes(60, 18), tmp_path / "more"))
    assert (tiny.digests(run / "shards"), (run / "stages.lock.json").read_bytes()) == before
    assert cli("verify", run / "shards") == 0
    assert not [path for path in (run / ".scoremix").iterdir() if "tmp" in path.name]


def test_a_choice_of_many_images_is_seeded_and_said(run: Path, tmp_path: Path) -> None:
    folder = save(scenes(70, 19), tmp_path / "many")
    report = judged(run, folder, "--images", "55")
    (one,) = report["sets"]
    assert (one["files"], one["judged"]) == (70, 55)
    assert any("55 of 70" in line for line in report["text"])
    assert judged(run, folder, "--images", "55") == report


def test_a_network_and_its_classifier_score(run: Path, tmp_path: Path) -> None:
    import torch

    net = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 5)
    )
    torch.manual_seed(0)
    scripted = torch.jit.script(net.eval())
    torch.jit.save(scripted, tmp_path / "tinynet.pt")
    folder = save(scenes(60, 20), tmp_path / "some")
    more = ["--features", tmp_path / "tinynet.pt", "--classifier", tmp_path / "tinynet.pt"]
    report = judged(run, folder, *more, name="scored")
    assert report["kd"] == "kd_tinynet" and report["fd"] == "fd_tinynet"
    assert 1 <= value(report["sets"][0]["records"], "cs_tinynet") <= 5
    assert 1 <= value(report["real"], "cs_tinynet") <= 5
    assert list((run / ".scoremix" / "features").glob("*.npy"))
    shutil.rmtree(run / ".scoremix" / "features")
    assert judged(run, folder, *more, name="scored") == report


def test_single_images_against_the_one_they_should_look_like(run: Path, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(), torch.nn.Conv2d(6, 2, 1)
    )
    torch.jit.save(torch.jit.script(layers.eval()), tmp_path / "maps.pt")
    images = scenes(60, 30)
    target = tmp_path / "target.png"
    Image.fromarray(images[0]).save(target)
    maps = ("--target", target, "--set", f"evaluate.maps={tmp_path / 'maps.pt'}")
    same = np.repeat(images[:1], 60, axis=0)
    command = ["evaluate", run, "--generated", save(same, tmp_path / "same"), "--quiet", *maps]
    assert tiny.command(command).returncode == 0  # in a process of its own, too
    near = judged(run, tmp_path / "same", *maps, name="same")["sets"][0]["records"]
    far = judged(run, save(images, tmp_path / "far"), *maps, name="far")["sets"][0]["records"]
    assert value(near, "sfd_maps") < 1e-9 < 1e-3 < value(far, "sfd_maps")
    words = ("evaluate", run, "--generated", tmp_path / "far", "--quiet", "--target")
    assert cli(*words, target) == 2  # between which maps?
    assert cli(*words, tmp_path / "maps.pt", *maps[2:]) == 2  # no image
    assert cli(*words, tmp_path / "absent.png", *maps[2:]) == 2
    assert cli(*words, target, "--set", f"evaluate.maps={tmp_path / 'maps.pt'}#net") == 2


class Stub:
    """In place of LPIPS, whose package not every environment has: mean differences."""

    name = "pd_alex"

    def __init__(self, trunk: Path) -> None:
        self.trunk = trunk

    def describe(self) -> dict[str, Any]:
        return {"kind": "lpips", "name": "alex"}

    def __call__(self, a: Images, b: Images) -> NDArray[np.float64]:
        if a.shape[1] < 12:
            raise RuntimeError("Kernel size can't be greater than actual input size\nmore")
        found: NDArray[np.float64] = np.abs(a.astype(float) - b).mean(axis=(1, 2, 3))
        return found


def test_lpips_where_its_weights_are_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scoremix.stages.evaluate import optional_metrics

    monkeypatch.setattr(optional_metrics, "Lpips", Stub)
    folder = save(scenes(60, 21), tmp_path / "some")
    report = judged(run, folder, "--lpips", tmp_path / "alexnet.pth")
    assert value(report["sets"][0]["records"], "pd_alex") > 0
    assert value(report["real"], "pd_alex") > 0
    small = optional_metrics.OptionalMetrics(optional_metrics.MetricWeights(lpips=tmp_path), 0)
    with pytest.raises(FeaturesError, match="does not take images of 8 px"):
        list(small.records(scenes(5, 1)[:, :8, :8], "small"))
