"""`import scoremix`: a run's mixer, its corpus as a Dataset, what the documents show of them."""

import multiprocessing
import os
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
import tiny
import torch
from torch.utils.data import DataLoader

import scoremix
from scoremix.manifests.errors import ConfigError, ScoreMixError, VerifyError
from scoremix.manifests.files.atomic import read_parquet
from scoremix.manifests.run_folder import RunFolder
from scoremix.models.method.methods import FrozenScore
from scoremix.models.method.options import BridgeOptions
from scoremix.stages.corpus.store import open_corpus

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/photos, of two classes, by the method scoremix."""
    folder = tmp_path_factory.mktemp("work")
    data = tiny.make_images(folder / "images")
    words = ["augment", "--data", data, "--out", folder / "shards", "--quiet"]
    words += ["--run", folder / "runs" / "photos", *tiny.options(generate__ratio=2)]
    done = tiny.command([*words, "--until", "write"])
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def run(work: Path) -> Path:
    return work / "runs" / "photos"


@pytest.fixture(scope="module")
def bridge_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the same images by the method bridge."""
    return made_run(tmp_path_factory.mktemp("bridge"), "bridge", generate__ratio=2)


def made_run(folder: Path, method: str, until: str = "write", **options: Any) -> Path:
    data = tiny.make_images(folder / "images")
    words = ["augment", "--data", data, "--out", folder / "shards", "--quiet", "--until", until]
    done = tiny.command([*words, *tiny.options(generate__method=method, **options)])
    assert done.returncode == 0, done.stderr
    return folder / "shards.run"


def mixup_run(folder: Path, **options: Any) -> Path:
    """A run of the same images by mixup, until its plan."""
    return made_run(folder, "mixup", "plan", **options)


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- the mixer


@pytest.mark.parametrize("made_by", ["run", "bridge_run"])
def test_a_mixer_makes_the_images_of_the_corpus(
    made_by: str, request: pytest.FixtureRequest
) -> None:
    """The same rows of the plan through the mixer: what the shards hold, to a last bit."""
    run: Path = request.getfixturevalue(made_by)
    mixer = scoremix.load(run, device="cpu")
    pixels = np.array(open_corpus(run / "corpus").images)
    units = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    corpus = scoremix.Corpus(run)
    plan = read_parquet(RunFolder(run).plan)
    made = {row["key"]: row for row in plan.to_pylist() if row["kind"] == "augmented"}
    rows = plan.filter([key in made for key in plan["key"].to_pylist()])
    images = (mixer.apply(rows, units) * 255).round()
    stored = {key: image for image, _, key in corpus}
    for key, image in zip(rows["key"].to_pylist(), images, strict=True):
        assert (image - stored[key].float()).abs().max() <= 1, key


def test_equal_generators_give_equal_images_and_others_do_not(run: Path) -> None:
    mixer = scoremix.load(run, device="cpu")
    x = torch.rand(20, *mixer.shape, generator=seeded(1))  # more than a micro-batch
    first, again = mixer(x, None, seeded()), mixer(x, None, seeded())
    assert torch.equal(first, again)
    assert not torch.equal(first, mixer(x, None, seeded(6)))
    assert not first.requires_grad and first.shape == x.shape


@pytest.mark.parametrize(("count", "encoded"), [(5, 5), (9, 10)])
def test_bridge_encodes_each_image_of_a_batch_once(
    count: int, encoded: int, bridge_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In micro-batches of up to 8 of one size: nine images are padded to ten, not to sixteen."""
    mixer, evaluated = scoremix.load(bridge_run, device="cpu"), list[int]()
    evaluate = FrozenScore.__call__

    def counted(score: FrozenScore, x: torch.Tensor, sigma: float) -> torch.Tensor:
        evaluated.append(len(x))
        return evaluate(score, x, sigma)

    monkeypatch.setattr(FrozenScore, "__call__", counted)
    mixer(torch.rand(count, *mixer.shape, generator=seeded(1)), None, seeded())
    assert isinstance(mixer.recipe.options, BridgeOptions)
    flow = 2 * (mixer.recipe.options.denoise_steps - 1)  # by Heun's method
    assert sum(evaluated) == encoded * flow + count * (flow + 2)  # down; norms of x' and x*


def test_images_come_back_in_the_range_and_dtype_of_the_batch(run: Path) -> None:
    x = torch.rand(6, *scoremix.load(run, device="cpu").shape, generator=seeded(1))
    unit = scoremix.load(run, device="cpu")(x, None, seeded())
    assert unit.dtype == torch.float32 and 0 <= unit.min() and unit.max() <= 1
    signed = scoremix.load(run, device="cpu", value_range=(-1, 1))
    made = signed((x * 2 - 1).double(), None, seeded())
    assert made.dtype == torch.float64 and made.min() < 0
    assert torch.allclose(made, unit.double() * 2 - 1, atol=1e-3)
    whole = scoremix.load(run, device="cpu")((x * 255).round().to(torch.uint8), None, seeded())
    assert whole.dtype == torch.uint8
    assert (whole.float() / 255 - unit).abs().max() < 0.05


def test_partners_are_of_the_class_where_labels_are_given(run: Path) -> None:
    mixer = scoremix.load(run, device="cpu")
    assert mixer.classes == ("left", "right")
    labels = torch.tensor([0, 1] * 7 + [0])
    x = torch.rand(15, *mixer.shape, generator=seeded(1))
    mixed = mixer.mix(x, labels, seeded())
    assert torch.equal(labels[mixed.partners], labels)
    assert (mixed.partners != torch.arange(15)).all()
    free = mixer.mix(x, None, seeded())
    assert (free.partners != torch.arange(15)).all()
    assert not torch.equal(labels[free.partners], labels)
    lone = mixer.mix(x[:3], torch.tensor([0, 0, 1]), seeded())
    assert lone.partners.tolist() == [1, 0, 2]


def test_partners_and_lambda_are_drawn_as_they_should_be(tmp_path: Path) -> None:
    """Against theory: uniform partners; mean 1/2 and variance 1/(4 (2 alpha + 1)) of Beta."""
    mixer = scoremix.load(mixup_run(tmp_path, generate__alpha=0.5), device="cpu")
    generator = seeded()
    x = torch.rand(4, *mixer.shape, generator=seeded(1))
    drawn = [mixer.mix(x, None, generator) for _ in range(600)]
    counts = np.bincount([int(one.partners[0]) for one in drawn], minlength=4)
    assert counts[0] == 0 and (abs(counts[1:] - 200) < 60).all()
    lambdas = torch.cat([one.lambdas for one in drawn])
    assert abs(lambdas.mean() - 0.5) < 0.03 and abs(lambdas.var() - 1 / 8) < 0.01
    one = drawn[0]
    weight = one.lambdas.float()[:, None, None, None]
    assert torch.allclose(one.images, weight * x + (1 - weight) * x[one.partners], atol=1e-6)


def test_what_cannot_be_mixed_is_refused(run: Path, tmp_path: Path) -> None:
    mixer = scoremix.load(run, device="cpu")
    x = torch.rand(4, *mixer.shape)
    wrong = {
        "A batch of shape": [(x[:, :1], None), (x[:0], None), (x[0], None), (x[..., :4], None)],
        "values from": [(x * 2 - 1, None), (x * 255, None), (x * float("nan"), None)],
        "uint8 or floating": [(x.long(), None)],
        "one whole number for each": [(x, torch.zeros(3, dtype=torch.long)), (x, torch.zeros(4))],
        "Labels from": [(x, torch.full((4,), 2)), (x, torch.full((4,), -2))],
    }
    for message, pairs in wrong.items():
        for images, labels in pairs:
            with pytest.raises(ConfigError, match=message):
                mixer(images, labels)
    for batch, labels in ((x.numpy(), None), (x, [0, 0, 0, 0])):
        with pytest.raises(ConfigError, match="takes a torch.Tensor"):
            mixer(batch, labels)  # type: ignore[arg-type]
    for value_range in ((1, 1), (0, 1, 2), 1, ("a", "b")):
        with pytest.raises(ConfigError, match="value_range"):
            scoremix.load(run, device="cpu", value_range=value_range)  # type: ignore[arg-type]
    for device in ("cuda:99", "cuda:x", "gpu", 1.5):
        with pytest.raises(ConfigError, match="torch cannot use it"):
            scoremix.load(run, device=device)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="does not exist"):
        scoremix.load(tmp_path / "nowhere")


def test_shards_stand_for_the_run_that_made_them(bridge_run: Path) -> None:
    assert scoremix.load(bridge_run.with_name("shards"), device=torch.device("cpu")).shape
    assert scoremix.Corpus(bridge_run).ratio == 2


def test_a_network_that_gives_no_numbers_is_an_error(run: Path) -> None:
    mixer = scoremix.load(run, device="cpu")
    assert mixer._score is not None
    with torch.no_grad():
        for parameter in mixer._score.net.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(ScoreMixError, match="not numbers"):
        mixer(torch.rand(4, *mixer.shape))


# --- the corpus


def test_a_corpus_has_every_image_up_to_its_ratio(run: Path) -> None:
    whole = scoremix.Corpus(run)
    assert (len(whole), whole.ratio, whole.classes) == (48, 2, ["left", "right"])
    assert [len(scoremix.Corpus(run, ratio=ratio)) for ratio in (0, 1, 2)] == [16, 32, 48]
    image, label, key = whole[0]
    assert image.dtype == torch.uint8 and image.shape == (3, 8, 8)
    pixels = np.array(open_corpus(run / "corpus").images)
    assert (image.permute(1, 2, 0).numpy() == pixels[int(key)]).all() and label in (0, 1)
    assert whole[-1][2] == whole[47][2] and len({key for _, _, key in whole}) == 48
    with pytest.raises(IndexError):
        whole[48]
    with pytest.raises(ConfigError, match="Ratio 3 was asked for"):
        scoremix.Corpus(run, ratio=3)
    assert len(scoremix.Corpus(run.parents[1] / "shards")) == 48


def test_workers_of_a_loader_read_each_image_once(run: Path) -> None:
    corpus = scoremix.Corpus(run, transform=lambda image: image.float() / 255)
    corpus[0]  # the tar is open in this process, and must not be shared
    keys = sorted(key for _, _, key in corpus)
    for data in (corpus, corpus.stream(), corpus.stream(shuffle=8)):
        found: list[str] = []
        for images, labels, names in DataLoader(data, batch_size=5, num_workers=2):
            assert images.max() <= 1 and labels.min() >= 0
            found += names
        assert sorted(found) == keys


def test_a_stream_is_in_order_or_shuffled_by_seed_and_epoch(run: Path) -> None:
    corpus = scoremix.Corpus(run)
    stored = {key: image for image, _, key in corpus}
    plain = list(corpus.stream())
    assert [key for _, _, key in plain] == [key for _, _, key in corpus]
    assert all(torch.equal(image, stored[key]) for image, _, key in plain)
    stream = corpus.stream(shuffle=10, seed=3)
    first, again = ([key for _, _, key in stream] for _ in range(2))
    assert first == again and sorted(first) == sorted(stored) and first != list(stored)
    stream.set_epoch(1)
    assert [key for _, _, key in stream] != first and len(stream) == 48


def test_what_is_no_place_in_a_corpus_is_an_error(run: Path) -> None:
    corpus = scoremix.Corpus(run)
    for index in ("a", 1.5, slice(2)):
        with pytest.raises(TypeError, match="integer"):
            corpus[index]  # type: ignore[index]
    assert corpus[np.int64(1)][2] == corpus[1][2] and corpus[-1][2] == corpus[len(corpus) - 1][2]
    with pytest.raises(ConfigError, match="shuffle is -1"):
        corpus.stream(shuffle=-1)


def test_a_pickled_corpus_reads_the_same(run: Path) -> None:
    corpus = scoremix.Corpus(run)
    image, *rest = corpus[7]
    copy, *same = pickle.loads(pickle.dumps(corpus))[7]
    assert torch.equal(image, copy) and rest == same


def test_images_across_classes_have_weights(tmp_path: Path) -> None:
    data = tiny.make_images(tmp_path / "images")
    words = ["augment", "--data", data, "--out", tmp_path / "shards", "--quiet"]
    words += tiny.options(generate__method="mixup", generate__pairing="any", generate__ratio=1)
    assert tiny.command([*words, "--until", "write"]).returncode == 0
    corpus = scoremix.Corpus(tmp_path / "shards")
    labels = torch.stack([label for _, label, _ in corpus])
    assert corpus.soft and labels.shape == (32, 2) and torch.allclose(labels.sum(1), torch.ones(32))
    assert ((labels > 0.01) & (labels < 0.99)).any()


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    run = mixup_run(tmp_path)
    assert tiny.command(["run", run / "stages.yaml", "--quiet", "--until", "write"]).returncode == 0
    corpus = scoremix.Corpus(run)
    tar = next(Path(run).rglob("real-000000.tar"), tmp_path / "shards" / "real-000000.tar")
    data = bytearray(tar.read_bytes())
    data[corpus.rows["offset"][0].as_py() + 40] ^= 1
    tar.write_bytes(data)
    with pytest.raises(VerifyError, match=f"Image {corpus.rows['key'][0].as_py()} in .* damaged"):
        corpus[0]


# --- what the documents show


def test_the_snippets_of_the_page_run(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.S)
    assert len(blocks) == 4
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert names["mixed"].images.shape == names["x"].shape == (32, 3, 8, 8)
    assert names["images"].dtype == torch.uint8
    assert torch.allclose(names["soft"].sum(1), torch.ones(32, dtype=torch.float64))
    assert len(names["keys"]) == 4 and names["epoch"] == 1


@pytest.mark.parametrize("more", [[], ["--online"]])
def test_the_training_loop_of_the_examples_runs(more: list[str], run: Path) -> None:
    words = [str(run), "--steps", "3", "--batch", "8", *more]
    script = ROOT / "examples" / "training_loop.py"
    done = forked.run(words, os.environ, 300, script=script)
    assert done.returncode == 0, done.stderr
    loss = re.fullmatch(r"3 steps of 8; the discriminator's loss is (\d+\.\d+)\n", done.stdout)
    assert loss and 0 < float(loss[1]) < 10


def _keys_of_rank(place: str, rank: int, world: int, folder: str) -> list[str]:
    """What one process of a group reads, through workers that are not forked."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{place}", rank=rank, world_size=world
    )
    stream = scoremix.Corpus(folder).stream()
    loader = DataLoader(
        stream, batch_size=None, num_workers=2, multiprocessing_context="forkserver"
    )
    keys = [key for _, _, key in loader]
    torch.distributed.destroy_process_group()
    return keys


def test_ranks_read_parts_of_their_own_through_spawned_workers(run: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        jobs = [
            pool.submit(_keys_of_rank, str(tmp_path / "group"), rank, 2, str(run))
            for rank in range(2)
        ]
        parts = [job.result(timeout=300) for job in jobs]
    assert not set(parts[0]) & set(parts[1])
    assert sorted(parts[0] + parts[1]) == sorted(k for _, _, k in scoremix.Corpus(run).stream())


def test_workers_that_stay_see_the_next_pass(run: Path) -> None:
    stream = scoremix.Corpus(run).stream(shuffle=10, seed=3)
    loader = DataLoader(stream, batch_size=None, num_workers=1, persistent_workers=True)
    first, again = ([key for _, _, key in loader] for _ in range(2))
    stream.set_epoch(1)
    assert first == again and [key for _, _, key in loader] != first
