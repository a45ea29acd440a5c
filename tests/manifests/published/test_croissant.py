"""croissant.json: true to the files, readable by its own loader, and no burden to older corpora."""

import hashlib
import json
from pathlib import Path
from typing import Any

import made
import numpy as np
import pyarrow.parquet as pq
import pytest

import scoremix.manifests.published.publish as publishing
from scoremix.manifests.plan.schema import MANIFEST
from scoremix.manifests.published.card import CorpusFacts, Counts
from scoremix.manifests.published.croissant import _COLUMNS, CROISSANT, croissant_bytes
from scoremix.manifests.published.publish import is_published
from scoremix.manifests.published.verify import verify

COUNTS = Counts(6, 12, 2, 4, True, False, False, ("scoremix",), 3)
TABLES = {"manifest.parquet": (10, "a" * 64), "plan.parquet": (9, "b" * 64)}


def document(shards: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shards / CROISSANT).read_text())
    return found


def test_it_names_every_file_as_it_is(tmp_path: Path) -> None:
    shards = made.make_corpus(tmp_path / "one")
    files = [one for one in document(shards)["distribution"] if one["@type"] == "cr:FileObject"]
    names = {path.name for path in shards.iterdir() if path.suffix in (".tar", ".parquet")}
    assert {one["contentUrl"] for one in files} == {
        name for name in names if name.endswith(".tar") or not name.startswith(("real", "aug"))
    }
    for one in files:
        data = (shards / one["contentUrl"]).read_bytes()
        assert one["sha256"] == hashlib.sha256(data).hexdigest()
        assert one["contentSize"] == f"{len(data)} B"
    assert b"croissant.json" in (shards / "SHA256SUMS").read_bytes() and verify(shards) == []
    again = made.make_corpus(tmp_path / "elsewhere")
    assert (again / CROISSANT).read_bytes() == (shards / CROISSANT).read_bytes()
    assert str(tmp_path) not in (shards / CROISSANT).read_text()


def test_every_column_is_described() -> None:
    assert list(_COLUMNS) == MANIFEST.names


def test_licences_and_provenance() -> None:
    recipe = {"method": "scoremix", "corpus_digest": "c" * 64, "model_sha256": "d" * 64}
    facts = CorpusFacts("cats", (), 64, 3, recipe, ("cc-by-4.0", "ask the author"))
    told = json.loads(croissant_bytes(facts, COUNTS, [], TABLES, "e" * 64, "f" * 64))
    assert told["license"] == [
        "https://spdx.org/licenses/CC-BY-4.0.html",
        {"@type": "sc:CreativeWork", "name": "ask the author"},
    ]
    derived = [one["@id"] for one in told["prov:wasDerivedFrom"]]
    assert derived == [f"urn:scoremix:sources:{'e' * 64}", f"urn:scoremix:corpus:{'c' * 64}"]
    activity = told["prov:wasGeneratedBy"]
    assert "scoremix" in activity["prov:label"] and json.loads(activity["prov:value"]) == recipe
    used = [one["@id"] for one in activity["prov:used"]]
    assert used == [f"urn:scoremix:plan:{'f' * 64}", f"urn:scoremix:score-network:{'d' * 64}"]
    assert activity["prov:wasAssociatedWith"]["prov:label"].startswith("scoremix-pipeline ")
    fields = {field["name"]: field for field in told["recordSet"][0]["field"]}
    assert fields["source_2"]["equivalentProperty"] == "prov:wasDerivedFrom"
    assert "norm_final" not in fields and "soft_label" not in fields


@pytest.mark.parametrize("kind", ["classes", "soft", "plain"])
def test_its_own_loader_reads_records_and_images(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    from etils import epath
    from mlcroissant._src.operation_graph.operations import extract

    # Kept in the home folder otherwise, by the tars' names, which all corpora share.
    monkeypatch.setattr(extract, "EXTRACT_PATH", epath.Path(tmp_path / "extracted"))
    classes = () if kind == "plain" else ("cat", "dog")
    shards = made.make_corpus(tmp_path, classes=classes, soft=kind == "soft")
    dataset = mlcroissant.Dataset(shards / CROISSANT)
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    recommended = ("citeAs", "datePublished", "license", "version")
    assert all(any(name in text for name in recommended) for text in issues.warnings)
    rows = pq.read_table(shards / "manifest.parquet").to_pylist()
    found = list(dataset.records("samples"))
    assert len(found) == len(rows) == 18
    for record, row in zip(found, rows, strict=True):
        told = {name.removeprefix("samples/"): _plain(value) for name, value in record.items()}
        assert told == {name: row[name] for name in told}
        assert ("soft_label" in told) == (kind == "soft")
    pictures = {_plain(one["images/key"]): one["images/image"] for one in dataset.records("images")}
    assert pictures.keys() == {row["key"] for row in rows}
    for key, image in pictures.items():
        assert np.array_equal(np.asarray(image.convert("RGB")), made.pixels_of(key, 8, 3))
    if classes:
        names = [(one["classes/id"], one["classes/name"]) for one in dataset.records("classes")]
        assert names == [(0, "cat"), (1, "dog")]
    kept = dataset.metadata.to_json()
    assert kept["prov:wasGeneratedBy"]["@type"] == "prov:Activity"


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def test_corpora_from_before_it_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata_files = publishing.metadata_files

    def before(*given: Any, **named: Any) -> dict[str, bytes]:
        files = metadata_files(*given, **named)
        del files[CROISSANT]
        return files

    with monkeypatch.context() as older:
        older.setattr(publishing, "metadata_files", before)
        shards = made.build_corpus(tmp_path)
    assert not (shards / CROISSANT).exists()
    assert verify(shards) == [] and is_published(shards)
    made.build_corpus(tmp_path)  # published again
    assert (shards / CROISSANT).exists() and verify(shards) == [] and is_published(shards)
    (shards / CROISSANT).unlink()
    assert not is_published(shards) and [one.file for one in verify(shards)] == [CROISSANT]
