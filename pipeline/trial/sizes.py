"""trial.sizes: the same trial on fewer training images; each size is a run of its own.

RUN/trial/sizes/held-out.parquet                  the run's held-out images with their classes
RUN/trial/sizes/N/training.parquet                N of its training images
RUN/trial/sizes/N/run/                            a run on them: network, plan, trial
RUN/trial/sizes/sizes.txt, sizes.json, sizes.svg  all sizes together
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, LockedError
from ...manifests.files.atomic import read_parquet, write_bytes, write_json, write_parquet
from ...manifests.files.durable import remove_file
from ...manifests.files.json_reader import parse_json
from ...manifests.files.lock import run_lock
from ...manifests.plan.made import made_identity
from ...manifests.run_folder import RunFolder
from ...stages.corpus.store import Corpus
from ...stages.evaluate.number_format import round_floats
from ...stages.evaluate.tables import Table
from ...stages.images.png import encode_with_pillow
from ...stages.ingest.config import IngestConfig
from ...stages.train.config import TrainConfig
from ...stages.trial.config import TrialConfig
from ...stages.trial.locks import waiting_lock
from ...stages.trial.outcome import judged_alike, trial_table
from ..config import Config
from ..earlier_trial import is_of_earlier
from ..finished_run import FinishedRun, load_finished_run
from ..job import Job
from ..progress import ProgressReporter
from ..run import run as run_stages
from ..trial_check import check_sizes
from ..trial_sizes import check_plans_of_sizes, choose_rows
from .trial import TrialReport, trial

# Of train: its preset decides them by the number of images.
_BY_IMAGES = ("steps", "checkpoint_every", "dropout", "augment")


@dataclass(frozen=True)
class SizesReport:
    """The trials of all sizes, ascending; the last is of all training images."""

    folder: Path
    sizes: list[int]
    reports: list[TrialReport]
    is_written: bool = True  # False: the files are those of a trial that compared something

    @property
    def is_empty(self) -> bool:
        """Whether every arm of every size failed."""
        return all(report.is_empty for report in self.reports)

    @property
    def record(self) -> Path:
        """The file of all figures."""
        return self.folder / "sizes.json"

    @property
    def table(self) -> Table:
        """The rows of every trial, with the number of training images before them."""
        alike = all(judged_alike(report.arms) for report in self.reports)
        tables = [trial_table(report.arms, alike=alike) for report in self.reports]
        rows = [
            [f"{size:,}", *row]
            for size, table in zip(self.sizes, tables, strict=True)
            for row in table.rows
        ]
        return Table(["training images", *tables[0].heads], rows)

    def as_text(self) -> str:
        """The table, and each trial's conclusion."""
        said = (
            f"{size:,} training images: {report.text}"
            for size, report in zip(self.sizes, self.reports, strict=True)
        )
        return "\n\n".join([self.table.as_text(), *said]) + "\n"


def _run_its_stages(job: Job) -> None:
    """Runs a size's stages; what comes after them is logged where it was before."""
    progress = job.progress
    kept = progress.log, progress.meter
    try:
        run_stages(job)
    except LockedError:  # another process is at its trial: then these stages are done
        progress.note(f"trial: {job.folder} is in use by another process")
    finally:
        progress.log, progress.meter = kept


def trial_sizes(
    run: FinishedRun,
    config: TrialConfig,
    *,
    device: str,
    processes: int,
    stopping: Callable[[], bool],
    progress: ProgressReporter,
) -> SizesReport:
    """Makes what is missing of every size's run and trial, then of the run's own.

    Raises:
        ConfigError: a size that is not below the run's, or one that no run can be made of.
        Interrupted: a stop was asked for; the same command goes on.
    """
    sizes = check_sizes(config, len(run.corpus.training_rows))
    check_plans_of_sizes(run.config, run.corpus, sizes)
    folder = run.folder / "trial" / "sizes"
    own = config.model_copy(update={"sizes": []})
    reports, held_out = [], folder / "held-out.parquet"
    _write_images(held_out, run.corpus, run.corpus.reference, run.corpus.reference_ids)
    for size in sizes:
        place = folder / f"{size}"
        progress.note(f"trial: {size:,} training images, in {place}")
        with waiting_lock(run.folder / "trial", f"size.{size}", stopping):
            job = Job(
                prepare_size(run, size, place, held_out),
                place / "run",
                place / "run" / "shards",
                device,
                progress,
                stopping,
                until="plan" if config.is_builtin else "write",
            )
            _run_its_stages(job)
        with run_lock(place / "run", shared=True):
            made = load_finished_run(place / "run", finished=False)
            made = replace(
                made, config=made.config.model_copy(update={"evaluate": run.config.evaluate})
            )
            reports.append(
                trial(
                    made,
                    own,
                    device=device,
                    processes=processes,
                    stopping=stopping,
                    progress=progress,
                )
            )
    reports.append(
        trial(run, own, device=device, processes=processes, stopping=stopping, progress=progress)
    )
    report = SizesReport(folder, [*sizes, len(run.corpus.training_rows)], reports)
    if not any(each.compares for each in reports) and _has_compared(run, report.record):
        return replace(report, is_written=False)
    _write(report, run)
    return report


def _has_compared(run: FinishedRun, path: Path) -> bool:
    """Whether a sizes.json is of what the run makes now, and compares arms."""
    try:
        record = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return False
    arms = [arm for each in record["sizes"] for arm in each["arms"]]
    return any(arm["against_real"] for arm in arms) and not is_of_earlier(
        record, run.planned.recipe.as_json(), run.planned.rows
    )


def prepare_size(run: FinishedRun, size: int, place: Path, held_out: Path) -> Config:
    """Writes the training images of a size below `place`; gives the config of the run on them.

    Options are the run's. Where they are what its preset gives for so many images, the preset
    decides anew. held_out: the file of held-out images.
    """
    corpus = run.corpus
    rows = choose_rows(corpus, size, run.config.seed)
    training = place / "training.parquet"
    _write_images(training, corpus, corpus.images[rows], corpus.training_ids[rows])
    side, channels = corpus.images.shape[2:]
    ingest = IngestConfig(
        source=str(training.absolute()),
        reference=str(held_out.absolute()),
        reference_limit=len(corpus.reference),
        classes="auto" if corpus.classes else "none",
        resolution=side,
        colour="gray" if channels == 1 else "rgb",
        duplicates="keep",
    )
    return run.config.model_copy(
        update={
            "run": str(place / "run"),
            "ingest": ingest,
            "train": open_train(run),
            "trial": TrialConfig(),
        }
    )


def open_train(run: FinishedRun) -> TrainConfig:
    """The run's options of training, open where they are what its preset gives for its images."""
    corpus, train = run.corpus, run.config.train
    kind = run.ledger.device_type("cpu")
    usual = train.model_copy(update=dict.fromkeys(_BY_IMAGES))
    usual = usual.resolved(corpus.images.shape[1], kind, len(corpus.images))
    same = [name for name in _BY_IMAGES if getattr(train, name) == getattr(usual, name)]
    return train.model_copy(update=dict.fromkeys(same))


def seconds_of_networks(run: FinishedRun, sizes: Sequence[int]) -> float:
    """How long the score networks of the sizes take, at the rate of the run's own training."""
    if not run.config.generate.needs_network:
        return 0.0
    log = RunFolder(run.folder).training_log.read_text().splitlines()
    rate = float(parse_json(log[-1])["rate"])
    train, side = open_train(run), run.corpus.images.shape[1]
    kind = run.ledger.device_type("cpu")
    trained = [train.resolved(side, kind, size) for size in sizes]
    return sum((each.steps or 0) * (each.batch or 0) for each in trained) / rate


def _write_images(
    path: Path, corpus: Corpus, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> None:
    """A Parquet file of PNGs, with the names of their classes where there are classes."""
    columns: dict[str, Any] = {"image": [encode_with_pillow(image) for image in images]}
    if corpus.classes:
        columns["label"] = [corpus.classes[each] if each >= 0 else None for each in labels]
    table = pa.table(columns)
    if not path.exists() or not read_parquet(path).equals(table):
        write_parquet(path, table)


def _write(report: SizesReport, run: FinishedRun) -> None:
    """sizes.txt, sizes.svg where it can be drawn, and sizes.json last."""
    from ...stages.trial.picture import draw_sizes

    folder = report.folder
    write_bytes(folder / "sizes.txt", report.as_text().encode())
    try:
        drawn = draw_sizes(report.sizes, [each.arms for each in report.reports])
        write_bytes(folder / "sizes.svg", drawn.encode())
    except ConfigError:  # nothing to draw, or nothing to draw with is installed
        remove_file(folder / "sizes.svg")
    figures = {
        "of": made_identity(run.planned.recipe.as_json(), run.planned.rows),
        "sizes": [
            {
                "images": size,
                "conclusion": each.text,
                "arms": [asdict(arm) for arm in each.arms],
            }
            for size, each in zip(report.sizes, report.reports, strict=True)
        ],
    }
    write_json(report.record, round_floats(figures))
