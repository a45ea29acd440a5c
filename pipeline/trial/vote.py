"""trial --vote and --count: the page of a vote, and what people answered beside the distances."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.run_folder import RunFolder
from ...stages.trial.one import RESULT, SAMPLES, gan_folder, read_result
from ...stages.trial.vote import count_votes, distances_of, read_answers, write_vote

_VOTES = "votes"  # folder below trial/


def make_vote(run: Path, count: int, seed: int) -> Path:
    """Writes the page of a vote on the arms of RUN/trial; gives its path.

    Raises ConfigError where there is no trial, or its samples are of another one.
    """
    folder = RunFolder(run).trial
    record = _record(folder)
    arms = {
        name: np.concatenate([_samples(folder, record, name, seed) for seed in range(len(results))])
        for name, results in record["results"].items()
    }
    return write_vote(folder / _VOTES, arms, count, seed)


def count_answers(run: Path, files: Sequence[Path]) -> str:
    """The table of people's answers beside the distances, and a sentence.

    Raises ConfigError for files that are no answers of this trial's votes.
    """
    folder = RunFolder(run).trial
    distances = distances_of(_record(folder))
    answers = read_answers(files, folder / _VOTES)
    for arm in {arm for answer in answers for arm in answer[:2]} - set(distances):
        raise ConfigError(f"The vote is on arm {arm}, which trial.json of {folder} does not have.")
    table, text = count_votes(answers, distances)
    return f"{table.as_text()}\n\n{text}"


def _record(folder: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((folder / "trial.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder} holds no finished trial ({error}). Run the trial first: the same command"
            " without --vote and --count."
        ) from error
    return record


def _samples(folder: Path, record: dict[str, Any], arm: str, seed: int) -> NDArray[np.uint8]:
    """(N, H, W, C) of the best snapshot of one GAN."""
    place = gan_folder(folder, str(record.get("gans")), arm, seed)
    if read_result(place, str(record["results"][arm][seed]["identity"])) is None:
        raise ConfigError(
            f"{place} has no GAN of the trial in trial.json. Run the trial again: GANs that are"
            " there are kept."
        )
    try:
        samples: NDArray[np.uint8] = np.load(place / SAMPLES, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(
            f"{place} has no samples to show ({error}). Delete its {RESULT}, and run the trial"
            " again."
        ) from error
    return samples
