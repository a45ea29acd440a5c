"""The page's section on the trial, where GANs were trained on the corpus."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...manifests.errors import VerifyError
from ...manifests.files.json_reader import parse_json
from ...manifests.plan.made import is_same
from ...manifests.run_folder import RunFolder
from ..evaluate.tables import Table
from ..images.png import to_pil
from . import pictures

TRIAL_STRIP, _LEAST_SIDE = 16, 48  # images of a strip; pixels of one


def trial_section(
    run: Path, training: NDArray[np.uint8], made: dict[str, str]
) -> dict[str, Any] | None:
    """What the page shows of trial/trial.json; None where there was no trial.

    training: uint8 (N, H, W, C), some training images for comparison. made: the identity of the
    images that the run makes, as `made_identity` gives it: a trial of others is marked.

    Raises:
        VerifyError: the file is damaged.
    """
    folder = RunFolder(run).trial
    path = folder / "trial.json"
    if not path.is_file():
        return None
    try:
        record = parse_json(path.read_bytes())
        tables = [
            Table(each["heads"], each["rows"])
            for each in (record["table"], record.get("table_of_pairs"))
            if each is not None
        ]
        arms = record.get("arms", [])
        one_shot = bool(arms) and "kd" not in arms[0]["last"][0]
        text, strips = (
            str(record["conclusion"]),
            _strips(folder, record.get("samples", {}), training),
        )
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise VerifyError(
            f"{path}, or a file of samples below it, is damaged ({error!r}). Run the trial again:"
            " its GANs are kept."
        ) from error
    curves = folder / "curves.svg"
    return {
        "text": text,
        "is_earlier": not is_same(record.get("of"), made),
        "tables": tables,
        "one_shot": one_shot,
        "curves": curves.read_text(encoding="utf-8") if curves.exists() else None,
        "strips": strips if len(strips) > 1 else [],
    }


def _strips(
    folder: Path, files: Mapping[str, str], training: NDArray[np.uint8]
) -> list[tuple[str, str]]:
    """Training images, then samples of every arm that has some: names and addresses.

    files: arm -> samples of its first GAN, below the folder.
    """
    strips = [("training images", _strip(np.asarray(training)))]
    for arm, name in files.items():
        samples = folder / name
        if samples.is_file():
            strips.append((arm, _strip(np.load(samples, allow_pickle=False)[:TRIAL_STRIP])))
    return strips


def _strip(images: NDArray[np.uint8]) -> str:
    """The address of a picture of images (N, H, W, C) side by side."""
    scale = -(-_LEAST_SIDE // images.shape[1])
    picture = to_pil(np.concatenate(list(images), axis=1))
    size = (scale * picture.width, scale * picture.height)
    return pictures.data_uri(picture.resize(size, Image.Resampling.NEAREST))
