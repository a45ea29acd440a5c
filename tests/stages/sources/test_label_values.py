"""Labels that are no class, or that two places give differently: the run stops and names them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_kinds import COUNT, FILES, LABELS, NAMES, column, take

from scoremix.manifests.errors import ConfigError
from scoremix.stages.sources.class_values import class_of, class_of_text

NO_NAMES = ["1.0", "-2", "nan", "NaN", "-inf", "None", "null", "1,2", "1; 2", "1\0", "a\nb"]


@pytest.mark.parametrize("text", NO_NAMES)
def test_texts_that_are_no_names_stop_wherever_they_stand(text: str) -> None:
    with pytest.raises(ConfigError, match="The label of 0.cls is .*; a class is a name or a whole"):
        class_of_text(text.encode(), (), "0.cls")
    with pytest.raises(ConfigError, match="The label of row 1 is .*; a class is a name or a whole"):
        class_of(text, (), "row 1")


@pytest.mark.parametrize("name", ["none", "1_0", "3-4", "Nana", "a, b", "información", "👩‍🌾"])
def test_names_that_look_like_them_are_names(name: str) -> None:
    assert class_of_text(name.encode(), (), "0.cls") == class_of(name, (), "row 1") == name


def test_a_text_of_json_is_no_class() -> None:
    with pytest.raises(ConfigError, match='The label of 0.cls is "1"; a class is'):
        class_of_text(b'"1"', (), "0.cls")


def test_an_empty_name_of_a_class_number_stops() -> None:
    assert class_of(1, ("", "dog"), "row 1") == "dog"
    with pytest.raises(ConfigError, match="The label of row 1 is 0, whose name is empty"):
        class_of(0, ("", "dog"), "row 1")


def test_one_name_of_two_class_numbers_stops(tmp_path: Path) -> None:
    names = ["cat", "cat", "dog"]
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
    cells = [{"bytes": data, "path": None} for data in FILES]
    facts = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": cells, "label": LABELS}).replace_schema_metadata(facts)
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="label of .* has one name for several .*cat"):
        take(tmp_path, str(tmp_path / "a.parquet"))
    assert len(take(tmp_path, str(tmp_path / "a.parquet"), classes="none").images) == COUNT


def metadata(root: Path, csv: str | None, jsonl: list[dict[str, Any]] | None) -> str:
    root.mkdir()
    for index, data in enumerate(FILES):
        (root / f"{index}.png").write_bytes(data)
    if csv is not None:
        (root / "metadata.csv").write_text(csv)
    if jsonl is not None:
        (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, jsonl)))
    return str(root)


def cells(header: str, labels: list[Any]) -> str:
    return f"{header}\n" + "".join(f"{index}.png,{label}\n" for index, label in enumerate(labels))


def rows(labels: list[Any]) -> list[dict[str, Any]]:
    return [{"file_name": f"{index}.png", "label": label} for index, label in enumerate(labels)]


def test_two_files_of_metadata_must_agree(tmp_path: Path) -> None:
    other = [*LABELS[:-1], 0]
    source = metadata(tmp_path / "a", cells("file_name,label", LABELS), rows(other))
    with pytest.raises(ConfigError, match="label 6.png differently: 0 and 2. Remove one of the"):
        take(tmp_path, source)
    assert len(take(tmp_path, source, classes="none").images) == COUNT
    same = metadata(tmp_path / "b", cells("file_name,label", LABELS), rows(list(map(str, LABELS))))
    assert column(take(tmp_path, same), "class_id") == LABELS
    texts = metadata(tmp_path / "c", cells("file_name,text", LABELS), rows(LABELS))
    assert column(take(tmp_path, texts), "class_id") == LABELS


def test_a_label_that_is_twice_in_a_row_stops(tmp_path: Path) -> None:
    pairs = [f"{NAMES[label]},b" for label in LABELS]
    source = metadata(tmp_path / "a", cells("file_name,label,label", pairs), None)
    with pytest.raises(ConfigError, match="metadata.csv of .* has 2 columns label. Remove"):
        take(tmp_path, source)
    triples = [f"{NAMES[label]},b,c" for label in LABELS]
    source = metadata(tmp_path / "b", cells("file_name,label,text,text", triples), None)
    assert take(tmp_path, source).classes == NAMES
    path = Path(metadata(tmp_path / "c", None, rows(LABELS))) / "metadata.jsonl"
    path.write_text(path.read_text().replace('"label": 2}', '"label": 2, "label": 1}'))
    with pytest.raises(ConfigError, match="A row of metadata.jsonl of .* the key label twice"):
        take(tmp_path, str(path.parent))


def test_a_label_that_is_no_number_stops_as_such(tmp_path: Path) -> None:
    """NaN is not equal to itself; it is no key given twice."""
    values = rows([float("nan")] * len(LABELS))
    with pytest.raises(ConfigError, match="metadata.jsonl of .* is nan; a class is"):
        take(tmp_path, metadata(tmp_path / "c", None, values))
