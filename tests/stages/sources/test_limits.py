"""The bounds on files of labels: what they let through."""

import json

import pytest

from scoremix.stages.images.unusable import Unusable
from scoremix.stages.sources.limits import check_json, check_json_keys, check_label_file
from scoremix.stages.sources.metadata_file import read_metadata


def test_a_million_pairs_of_stylegan_are_within_the_bounds() -> None:
    pairs = ",".join(f'["00000/img{number:08d}.png",7]' for number in range(1_000_000))
    data = b'{"labels":[' + pairs.encode() + b"]}"
    check_label_file("dataset.json", data, images=4)
    check_json("dataset.json", data, images=4)


def test_colons_and_commas_of_texts_are_no_keys_and_values() -> None:
    texts = ['":,' * 1_500_000, "\\", '\\"' + ",:" * 1_000_000]
    check_json("0.json", json.dumps(texts, separators=(",", ":")).encode(), images=1)


def test_a_file_of_more_images_may_have_more_keys() -> None:
    data = b"{" + b'"a":0,' * 2_000_001 + b'"b":0}'
    with pytest.raises(Unusable, match="2,000,002 keys, for 100 files"):
        check_json_keys("dataset.json", data, images=100)
    check_json_keys("dataset.json", data, images=200_000)


@pytest.mark.parametrize("is_csv", [True, False])
def test_other_columns_of_metadata_may_be_wide(is_csv: bool) -> None:
    vector = [0.5] * 2000
    rows = [{"file_name": f"{n}.png", "label": n % 2, "vector": vector} for n in range(50)]
    if is_csv:
        cells = ["file_name,vector,label"]
        cells += [f'{row["file_name"]},"{vector}",{row["label"]}' for row in rows]
        data = "\r\n".join(cells).encode() + b"\r\n\r\n"
    else:
        data = "\n".join(map(json.dumps, rows)).encode()
    found = read_metadata("metadata", data, is_csv=is_csv)
    assert found == {f"{n}.png": n % 2 for n in range(50)}
