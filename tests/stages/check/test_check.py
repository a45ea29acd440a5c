"""check: sound corpora pass, all is read once and within bounds, names are safe to print."""

import contextlib
import json
import os
import string
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from broken import (
    CUT_PNG,
    PNG,
    REMEDIES,
    Build,
    batch,
    classes,
    database,
    folder,
    hdf5,
    labelled,
    labels,
    numbered,
    only,
    png,
    sides,
    splits,
    then,
    tree,
    write,
    zipped,
)
from broken_images import CASES as IMAGE_CASES
from broken_layouts import CASES as LAYOUT_CASES
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.trainers.requirements import reader_names, specs_of
from scoremix.manifests.trainers.table import PLAIN, TRAINERS
from scoremix.stages.check.check import check_corpus
from scoremix.stages.check.file_index import open_index
from scoremix.stages.check.image_facts import read_image_facts
from scoremix.stages.check.labels import check_labels
from scoremix.stages.check.readers import hdf5 as hdf5_file
from scoremix.stages.check.readers import lmdb as lmdb_file
from scoremix.stages.check.report import MAX_FILES_SHOWN, CheckFindings, printable
from scoremix.stages.check.rules import RULES, SECTIONS
from scoremix.stages.common.progress import Advance, Silent

LABELS = labels([["a/0.png", 0], ["b/0.png", 1]])
ZIP = zipped([("a/0.png", PNG), ("b/0.png", PNG), ("dataset.json", LABELS)])
STUDIO = "digits_32_wo_resize_train.hdf5"

GOOD: list[tuple[str, Build]] = [
    ("stylegan", ZIP),
    ("stylegan2-ada", ZIP),
    ("stylegan3", only({"a/0.png": PNG, "b/0.png": PNG, "dataset.json": LABELS})),
    ("diffaugment-stylegan2", labelled(numbered([0.3, 0.7], [1, 0], [0, 1], [0.5, 0.5]))),
    ("projected-gan", only({"0.png": png(128)})),
    ("stylegan3", labelled({f"{index:03d}.png": index % 2 for index in range(4)})),
    ("stylegan-xl", folder(dataset__json=labels(None))),
    ("edm", only({"0.png": png(mode="L"), "1.png": png(mode="L")})),
    ("stylegan", only({f"0000{i}/img{i:08d}.png": PNG for i in range(2)})),
    ("imagefolder", tree()),
    ("imagefolder", splits("train", "val")),
    ("stargan-v2", splits("train", "val")),
    ("studiogan", splits("train", "valid")),
    ("biggan", tree(prefix="ImageNet/")),
    ("lecam", tree(names=("02", "10"), prefix="train/", data=png(32))),
    ("diffaugment-biggan", tree(data=png(64))),
    ("dcgan", tree({"cat/gray.png": png(mode="L"), "dog/index.png": png(mode="P")})),
    ("stylegan2-pytorch", only({"0.png": PNG, "more/1.png": png(mode="L")})),
    ("lightweight-gan", only({"0.png": PNG})),
    ("fastgan", only({"0.png": PNG, "notes.txt": b""})),
    ("unpaired", sides()),
    ("cut", sides(extra={"trainA/x.JPG": PNG, "trainA/notes.txt": b""})),
    ("fastcut", sides()),
    ("sincut", sides(1)),
    ("hdf5", hdf5()),
    ("biggan", hdf5()),
    ("lecam", hdf5()),
    ("studiogan", hdf5(batch(axes="NHWC"), name=STUDIO)),
    ("lmdb", database()),
    ("rosinality", database()),
    ("fastgan", database(data=png(1024), side=1024)),
    ("r3gan", only({"0.png": png(32), "1.png": png(32)})),
    ("stylegan-t", labelled(numbered("a cat", "a dog", "a cat", "a dog"))),
    ("edm2", only({"0.png": png(32), "1.png": png(32)})),
    ("styleswin", database()),
    ("gigagan", tree(count=51)),
    ("diffusers", tree()),
]


@pytest.mark.parametrize(("wanted", "build"), GOOD, ids=[wanted for wanted, _ in GOOD])
def test_a_sound_corpus_passes(wanted: str, build: Build, tmp_path: Path) -> None:
    [verdict] = check_corpus(build(tmp_path), wanted, Silent())
    assert [one.rule for one in verdict.findings if one.rule != "small-batch"] == []
    assert verdict.readable
    assert verdict.facts["images"] > 0


@pytest.mark.parametrize(("batch_", "rules"), [(None, ["small-batch"]), (13, ["no-full-batch"]),
                                               (12, []), (1, [])])  # fmt: skip
def test_a_batch_must_fill(batch_: int | None, rules: list[str], tmp_path: Path) -> None:
    """SinCUT drops an incomplete batch, and fails where there is no other."""
    path = sides(12)(tmp_path)
    [verdict] = check_corpus(path, "sincut", Silent(), batch=batch_)
    found = [one.rule for one in verdict.findings if one.rule != "one-image-a-side"]
    assert found == rules
    assert verdict.readable == ("no-full-batch" not in rules)
    assert not rules or "12 fits" in next(
        one.files[0][1] for one in verdict.findings if one.rule == rules[0]
    )


@pytest.mark.parametrize(("batch_", "fitting"), [(None, 10), (4, 4), (16, 10)])
def test_sincut_is_given_a_batch_and_a_side_that_the_corpus_has(
    batch_: int | None, fitting: int, tmp_path: Path
) -> None:
    """The remedy of more than one image a side, and what is to be remembered."""
    [verdict] = check_corpus(sides(10)(tmp_path), "sincut", Silent(), batch=batch_)
    [one] = [one for one in verdict.findings if one.rule == "one-image-a-side"]
    options = f"--batch_size {fitting} --load_size 16 --crop_size 16"
    assert options in one.remedy
    assert not verdict.readable or options in verdict.remember[0]


def test_a_batch_of_a_trainer_that_pads_is_no_matter(tmp_path: Path) -> None:
    [verdict] = check_corpus(tree()(tmp_path), "dcgan", Silent(), batch=64)
    assert verdict.findings == []


@pytest.mark.parametrize(("wanted", "build", "side"), [
    ("studiogan", hdf5(batch(side=48, axes="NHWC"), name="d_48_wo_resize_train.hdf5"), 32),
    ("r3gan", only({"0.png": png(128), "1.png": png(128)}), 64),
    ("edm", only({"0.png": png(50), "1.png": png(50)}), 32),
    ("edm", only({"0.png": png(24), "1.png": png(24)}), 16),
    ("edm2", only({"0.png": png(48), "1.png": png(48)}), 32),
    ("lmdb", database(side=24, data=png(24)), 16),
    ("sincut", then(sides(2), lambda root: write(root, {"trainA/0.png": png(24)})), 16),
    ("biggan", hdf5(batch(side=300), name="ILSVRC300.hdf5"), 256),
])  # fmt: skip
def test_remedies_name_a_side_that_the_trainer_reads(
    wanted: str, build: Build, side: int, tmp_path: Path
) -> None:
    [verdict] = check_corpus(build(tmp_path), wanted, Silent())
    remedies = [one.remedy for one in verdict.findings if "ingest.resolution" in one.remedy]
    assert remedies and all(f"ingest.resolution={side} " in remedy for remedy in remedies)
    of_files = [remedy for remedy in remedies if "mogrify" in remedy]
    assert all(f"-extent {side}x{side}" in remedy for remedy in of_files)


def test_every_name_and_every_rule_is_tried() -> None:
    assert {wanted for wanted, _ in GOOD} == set(reader_names())
    tried = {rule for case in [*IMAGE_CASES, *LAYOUT_CASES] for rule in (case.rule, *case.also)}
    assert tried == set(RULES) == set(REMEDIES)
    assert sum(map(len, SECTIONS.values())) == len(RULES)


def test_trainers_of_one_reader_ask_for_the_same_layout() -> None:
    for spec in TRAINERS:
        assert spec.target == PLAIN[spec.target].target
        assert spec in specs_of(spec.trainer)
    assert [spec.target for spec in specs_of("biggan")] == ["hdf5", "imagefolder"]


def test_equal_findings_are_one_with_the_first_names(tmp_path: Path) -> None:
    write(tmp_path, {f"{index:03d}.png": CUT_PNG for index in range(40)})
    [verdict] = check_corpus(tmp_path, "stylegan", Silent())
    [finding] = verdict.findings
    assert (finding.rule, finding.count) == ("damaged-image", 40)
    assert [file for file, _ in finding.files] == ["000.png", "001.png", "002.png"]
    assert "and 37 more" in str(finding)


def test_a_trainer_of_two_targets_is_judged_by_what_is_there(tmp_path: Path) -> None:
    both = write(tmp_path, classes(prefix="ImageNet/"))
    assert check_corpus(both, "biggan", Silent())[0].target == "imagefolder"
    hdf5()(tmp_path)
    assert check_corpus(tmp_path / "ILSVRC32.hdf5", "biggan", Silent())[0].target == "hdf5"
    assert check_corpus(tmp_path, "hdf5", Silent())[0].readable, "the trainer is given the folder"


def test_links_to_files_are_followed_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path / "store", {"0.png": PNG, "1.png": CUT_PNG})
    corpus = tmp_path / "corpus"
    (corpus / "cat").mkdir(parents=True)
    for index in range(2):
        os.symlink(tmp_path / "store" / f"{index}.png", corpus / "cat" / f"{index}.png")
    os.symlink(corpus, corpus / "cat" / "up")
    os.symlink(tmp_path / "store", corpus / "dog")
    [verdict] = check_corpus(corpus, "dcgan", Silent())
    assert [(one.rule, one.count) for one in verdict.findings] == [("damaged-image", 2)]
    assert verdict.facts["classes"] == {"cat": 2, "dog": 2}


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers pass over it in silence: os.walk swallows the error."""
    root = tree()(tmp_path)
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    [verdict] = check_corpus(root, "stylegan", Silent())
    told = [(one.rule, one.files[0]) for one in verdict.findings]
    assert ("unreadable", ("dog/", "Permission denied")) in told


class Counting(Silent):
    """Notes every task that is begun, and how many units were done."""

    def __init__(self) -> None:
        self.done: list[int] = []

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        counts: list[int] = []
        yield lambda count, /, *, resumed=False: counts.append(count)
        assert sum(counts) == total
        self.done.append(total)


@pytest.mark.parametrize(("build", "count"), [(tree(), 8), (hdf5(), 6), (database(), 4)])
def test_everything_is_read_once_for_all_trainers(build: Build, count: int, tmp_path: Path) -> None:
    progress = Counting()
    assert len(check_corpus(build(tmp_path), None, progress)) > 1
    assert progress.done == [count]


def test_a_zip_is_a_stream_whose_members_are_capped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoremix.stages.sources.zips.MAX_INPUT_BYTES", 10_000)
    evil = [("../../up.png", PNG), ("/top.png", PNG), ("bomb.png", bytes(20_000))]
    path = zipped(evil)(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    [verdict] = check_corpus(path, "stylegan", Silent())
    told = [(one.rule, one.files[0][0], one.count) for one in verdict.findings]
    assert told == [("unreadable", "bomb.png", 1), ("odd-name", "../../up.png", 2)]
    assert "larger than" in verdict.findings[0].files[0][1]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_member_without_a_name_is_no_image(tmp_path: Path) -> None:
    """zipfile's own is_dir fails for it."""
    path = zipped([("0.png", PNG), ("1.png", PNG)])(tmp_path)
    nameless = zipfile.ZipInfo("x")
    nameless.filename = ""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(nameless, PNG)
    [verdict] = check_corpus(path, "stylegan", Silent())
    assert verdict.readable and verdict.facts["images"] == 2


@pytest.mark.parametrize("reader", [hdf5_file, lmdb_file], ids=["h5py", "lmdb"])
def test_a_missing_extra_is_named(
    reader: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "h5py" if reader is hdf5_file else "lmdb"
    path = (hdf5() if name == "h5py" else database())(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ConfigError, match=r'pip install "scoremix-pipeline\[export\]"'):
        check_corpus(path, None, Silent())


# --- names


@given(st.text(max_size=60))
@example("a\x1b[31m\u202egnp.exe\udcff\n")
def test_what_is_printed_of_a_name_prints(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    shown.encode("utf-8")
    if name.isprintable():
        assert shown == name


@given(st.text(min_size=201, max_size=400))
def test_long_names_are_cut(name: str) -> None:
    assert len(printable(name)) <= 200


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    names=st.lists(
        st.text(string.ascii_letters + string.digits + "/\\._- \u00e9", min_size=1, max_size=12),
        min_size=1,
        max_size=8,
        unique=True,
    ),
    dropped=st.sets(st.integers(0, 7)),
)
def test_labels_are_found_by_name_as_the_reader_does(names: list[str], dropped: set[int]) -> None:
    """Against the reader's own rule: a dict looked up by the name with / for every backslash."""
    pairs = [[name, 0] for place, name in enumerate(names) if place not in dropped]
    findings = CheckFindings(Path("corpus"))
    check_labels(labels(pairs), names, findings)
    keys = {name for name, _ in pairs}
    missing = [name for name in names if name.replace("\\", "/") not in keys]
    found = {one.rule: one for one in findings.sorted()}
    assert ("label-missing" in found) == bool(missing)
    if missing:
        assert found["label-missing"].count == len(missing)
        assert [file for file, _ in found["label-missing"].files] == missing[:MAX_FILES_SHOWN]


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_no_label_whatever_it_is_raises(value: object) -> None:
    data = json.dumps({"labels": [["0.png", value], ["1.png", 1]]}).encode()
    findings = CheckFindings(Path("corpus"))
    check_labels(data, ["0.png", "1.png"], findings)
    sound = isinstance(value, int) and not isinstance(value, bool) and value in (0, 1)
    assert sound == (findings.errors == 0) or value == 1


def test_memory_is_that_of_a_few_images(tmp_path: Path) -> None:
    """What is decoded at once is bounded; the facts of equal images are one object."""
    data = png(128)
    write(tmp_path, {f"{index:04d}.png": data for index in range(600)})
    tracemalloc.start()
    with open_index(tmp_path) as listing:
        facts = read_image_facts(listing, Silent())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(set(map(id, facts.values()))) == 1
    assert peak < len(data) * 600 / 3, "all files together are far more"
