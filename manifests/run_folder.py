"""RunFolder: every path inside a run folder, named once. docs/formats.md draws the tree."""

from dataclasses import dataclass
from pathlib import Path

TRAINING_LOG = "train.jsonl"  # in score-net/
TRAINING_STATE = "last"  # folder in score-net/
STATE = "state.safetensors"  # in it: where training goes on
TRACKING = "tracking"  # what an experiment tracker writes (train.tracker)
CONTACT_SHEET = "contact-sheet.png"  # in report/
LAMBDA_STRIPS = "lambda-strips.png"  # in report/
NEW_CLASS_SHEET = "new-classes.png"  # in report/
METRICS = "metrics.json"  # in report/
VERDICT = "verdict.txt"  # in report/
PILOT_RECORD = "pilot.json"  # in pilot/
PILOT_TABLE = "table.txt"  # in pilot/
PILOT_SHEET = "sheet.png"  # in pilot/

STAGES = (
    "ingest",
    "train",
    "pilot",
    "recognise",
    "plan",
    "write",
    "evaluate",
)  # of a run, in order


@dataclass(frozen=True)
class RunFolder:
    """The files of the run folder `path`; none of them has to exist."""

    path: Path

    @property
    def config(self) -> Path:
        """Every option as it was used."""
        return self.path / "stages.yaml"

    @property
    def ledger(self) -> Path:
        """What each stage was made from; its presence makes a folder a run folder."""
        return self.path / "stages.lock.json"

    @property
    def tombstones(self) -> Path:
        """The inputs that were removed on request; absent where there were none."""
        return self.path / "tombstones.json"

    @property
    def own(self) -> tuple[Path, ...]:
        """The files and folders at the top that a run writes, and `forget` changes or removes; all
        but the shards."""
        files = (self.config, self.ledger, self.tombstones, self.means)
        stages = (self.corpus, self.network, self.pilot, self.recogniser, self.report)
        return (*files, *stages, self.recognition, self.trial, self.tracking, self.internal)

    @property
    def corpus(self) -> Path:
        """The decoded images and sources.parquet."""
        return self.path / "corpus"

    @property
    def corpus_commit(self) -> Path:
        """Written last by ingest."""
        return self.corpus / "corpus.json"

    @property
    def shards(self) -> Path:
        """Where the shards lie, unless `augment --out` named another place."""
        return self.path / "shards"

    @property
    def network(self) -> Path:
        """The folder of the score network."""
        return self.path / "score-net"

    @property
    def model_weights(self) -> Path:
        """The weights that generation uses."""
        return self.network / "model.safetensors"

    @property
    def model_facts(self) -> Path:
        """Architecture, noise ladder, loss per band; written last by train."""
        return self.network / "model.json"

    @property
    def training_log(self) -> Path:
        """A JSON line per checkpoint."""
        return self.network / TRAINING_LOG

    @property
    def training_state(self) -> Path:
        """What a training that was stopped goes on from."""
        return self.network / TRAINING_STATE

    @property
    def means(self) -> Path:
        """The mean images about which mixing keeps contrast, of methods that do."""
        return self.path / "means.safetensors"

    @property
    def tracking(self) -> Path:
        """What an experiment tracker wrote: sheets of samples; removed by `forget`."""
        return self.path / TRACKING

    @property
    def pilot(self) -> Path:
        """What `generate.method: auto` compared."""
        return self.path / "pilot"

    @property
    def pilot_record(self) -> Path:
        """The decision and its table; written last by the pilot."""
        return self.pilot / PILOT_RECORD

    @property
    def pilot_table(self) -> Path:
        return self.pilot / PILOT_TABLE

    @property
    def pilot_sheet(self) -> Path:
        """The same mixtures by every candidate; removed by `forget`."""
        return self.pilot / PILOT_SHEET

    @property
    def recogniser(self) -> Path:
        """The recogniser by which new classes are selected; absent for methods without any."""
        return self.path / "recogniser"

    @property
    def new_classes(self) -> Path:
        """Which classes each new class mixes; written last by `recognise`."""
        return self.recogniser / "new_classes.json"

    @property
    def recognition(self) -> Path:
        """Recognisers trained on several corpora, and what they say; removed by `forget`."""
        return self.path / "recognition"

    @property
    def trial(self) -> Path:
        """GANs trained on several corpora, and what they say; removed by `forget`."""
        return self.path / "trial"

    @property
    def report(self) -> Path:
        return self.path / "report"

    @property
    def report_page(self) -> Path:
        return self.report / "index.html"

    @property
    def contact_sheet(self) -> Path:
        return self.report / CONTACT_SHEET

    @property
    def lambda_strips(self) -> Path:
        """The same pairs at five weights; absent for methods that mix no two images."""
        return self.report / LAMBDA_STRIPS

    @property
    def new_class_sheet(self) -> Path:
        """Images of new classes beside those of the classes that they mix; absent without any."""
        return self.report / NEW_CLASS_SHEET

    @property
    def metrics(self) -> Path:
        """What `evaluate` measured; written last by it."""
        return self.report / METRICS

    @property
    def generated(self) -> Path:
        """Evaluations of GAN samples."""
        return self.report / "generated"

    @property
    def internal(self) -> Path:
        """Locks, logs, caches, unfinished files, and what other data are known by: the plan, the
        listing of the sources, the ledger's second copy. It belongs with the run folder."""
        return self.path / ".scoremix"

    @property
    def lock(self) -> Path:
        """Held by the process that runs the stages."""
        return self.internal / "lock"

    @property
    def shard_locks(self) -> Path:
        """A lock for each shard that a worker makes."""
        return self.internal / "shards"

    @property
    def ledger_backup(self) -> Path:
        """A second copy of the ledger, read where the first one is damaged."""
        return self.internal / "stages.lock.json"

    @property
    def plan(self) -> Path:
        """The plan until its shards are complete."""
        return self.internal / "plan.parquet"

    @property
    def progress_log(self) -> Path:
        """A JSON line per note and rate: seconds, stage, joules."""
        return self.internal / "progress.jsonl"

    @property
    def source_listing(self) -> Path:
        """The files of the sources when they were read, to name those that changed since."""
        return self.internal / "source-files.json"

    @property
    def feature_cache(self) -> Path:
        """Features of real images, by content."""
        return self.internal / "features"

    @property
    def fetched(self) -> Path:
        """Source files from URLs, until they are ingested."""
        return self.internal / "fetched"

    @property
    def mirror(self) -> Path:
        """The local copy of shards that lie in an object store."""
        return self.internal / "mirror"

    @property
    def temporary(self) -> Path:
        """Unfinished shards."""
        return self.internal / "tmp"
