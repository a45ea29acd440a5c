"""Damaged JSON of a corpus: the file is named, with what to do."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from ingest_inputs import classed, flat, folder, png

from scoremix.manifests.errors import VerifyError
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus, check_pixels, open_corpus, write_corpus_json
from scoremix.stages.ingest.ingest import IngestConfig, ingest


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    config = IngestConfig(source=str(folder(tmp_path / "in", flat(3))))
    return ingest(config, tmp_path / "corpus", seed=0, progress=Silent(), workers=1)


def test_a_damaged_commit_is_named(corpus: Corpus) -> None:
    check_pixels(corpus)
    (corpus.folder / "corpus.json").write_text("{")
    for use in (lambda: open_corpus(corpus.folder), lambda: check_pixels(corpus)):
        with pytest.raises(VerifyError, match="corpus.json is damaged.*run ingest again"):
            use()


def test_classes_that_cannot_be_parsed_are_named(corpus: Corpus) -> None:
    """As where a version with an error wrote the file, and its hash."""
    (corpus.folder / "classes.json").write_bytes(b"[")
    facts = json.loads((corpus.folder / "corpus.json").read_bytes())
    facts["files"]["classes.json"] = {"bytes": 1, "sha256": hashlib.sha256(b"[").hexdigest()}
    write_corpus_json(corpus.folder, facts)
    with pytest.raises(VerifyError, match="classes.json is damaged.*Delete .*corpus.json and run"):
        open_corpus(corpus.folder)


def test_another_label_of_a_held_out_image_is_another_corpus(tmp_path: Path) -> None:
    """Networks and figures by class are of these labels."""
    files = classed(a=3, b=3)
    held_out = {"a/0.png": png(7), "a/1.png": png(8), "b/2.png": png(9)}
    reference = folder(tmp_path / "one", held_out)
    held_out["b/1.png"] = held_out.pop("a/1.png")
    moved = folder(tmp_path / "two", held_out)
    source = str(folder(tmp_path / "in", files))

    def taken(place: Path) -> Corpus:
        config = IngestConfig(source=source, reference=str(place), resolution=8)
        return ingest(config, tmp_path / "corpus", seed=0, progress=Silent(), workers=1)

    one = taken(reference)
    pixels, digest, ids = np.array(one.reference), one.digest, one.reference_ids.tolist()
    two = taken(moved)
    assert np.array_equal(pixels, two.reference) and ids == [0, 0, 1]
    assert two.reference_ids.tolist() == [0, 1, 1] and two.digest != digest
