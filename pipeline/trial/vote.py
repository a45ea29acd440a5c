"""trial --vote and --count: the page of a vote, and what people answered beside the distances."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.json_reader import parse_json
from ...manifests.run_folder import RunFolder
from ...stages.corpus.store import open_corpus
from ...stages.trial.one import gan_folder, read_result, result_name, samples_name
from ...stages.trial.outcome import NAMES, distance_of
from ...stages.trial.vote import ACROSS, Contender, count_votes, read_answers, write_vote
from ..earlier_trial import is_earlier_trial

_VOTES = "votes"  # folder below trial/

Images = NDArray[np.uint8]


def make_vote(run: Path, arms: Sequence[str], count: int, seed: int) -> tuple[Path, bool]:
    """Writes the page of a vote on arms of RUN/trial; gives its path, and whether the trial is of
    an earlier corpus. arms: none for all.

    Raises ConfigError where there is no trial, none of such an arm, or its samples are of another.
    """
    folder = RunFolder(run).trial
    record = _record(folder)
    distances = _distances(record)
    missing = [arm for arm in arms if arm not in distances]
    if missing:
        raise ConfigError(
            f"The trial in {folder} has no arm {missing[0]}; it has {', '.join(distances)}."
        )
    targets: list[str] = record.get("targets") or []
    contenders = {
        name: Contender(_samples(folder, record, name, max(1, len(targets))), distance)
        for name, distance in distances.items()
        if not arms or name in arms
    }
    references = _references(run, targets) if targets else []
    figure = distance_of(record["arms"][0]["last"][0])
    page = write_vote(folder / _VOTES, contenders, count, seed, references, NAMES[figure])
    return page, is_earlier_trial(run, record)


def count_answers(run: Path, files: Sequence[Path]) -> str:
    """The table of people's answers beside the distances, and a sentence.

    Raises ConfigError for files that are no answers of this trial's votes.
    """
    table, text = count_votes(read_answers(files, RunFolder(run).trial / _VOTES))
    return f"{table.as_text()}\n\n{text}"


def _distances(record: dict[str, Any]) -> dict[str, float]:
    """Arm -> its figure, the mean of the best snapshots over seeds."""
    name = distance_of(record["arms"][0]["last"][0])
    return {
        arm["name"]: float(np.mean([snapshot[name] for snapshot in arm["best"]]))
        for arm in record["arms"]
    }


def _references(run: Path, targets: Sequence[str]) -> list[Images]:
    """Some training images of each target class."""
    corpus = open_corpus(RunFolder(run).corpus)
    ids = corpus.training_ids[corpus.training_rows]
    rows = [corpus.training_rows[ids == corpus.classes.index(name)] for name in targets]
    return [np.asarray(corpus.images[some[: ACROSS**2]]) for some in rows]


def _record(folder: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = parse_json((folder / "trial.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder} holds no finished trial ({error}). Run the trial first: the same command"
            " without --vote and --count."
        ) from error
    if not record.get("arms"):
        raise ConfigError(f"No arm of the trial in {folder} has samples: {record['conclusion']}")
    return record


def _samples(folder: Path, record: dict[str, Any], arm: str, targets: int) -> list[Images]:
    """(N, H, W, C) of the best snapshots of an arm's GANs, for each target."""
    parts: list[list[Images]] = [[] for _ in range(targets)]
    for seed, result in enumerate(record["results"][arm]):
        place = gan_folder(folder, str(record.get("gans")), arm, seed)
        identity = str(result["identity"])
        if read_result(place, identity, result_name(identity)) is None:
            raise ConfigError(
                f"{place} has no GAN of the trial in trial.json. Run the trial again: GANs that"
                " are there are kept."
            )
        try:
            samples: Images = np.load(place / samples_name(identity), allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ConfigError(
                f"{place} has no samples to show ({error}). Delete its"
                f" {result_name(identity)}, and run the trial again."
            ) from error
        for mine, part in zip(parts, np.array_split(samples, targets), strict=True):
            mine.append(part)
    return [np.concatenate(some) for some in parts]
