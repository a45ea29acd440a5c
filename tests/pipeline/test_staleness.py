"""Whatever is changed, taken away or raised between runs: a run leaves what a first one would."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import tiny
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from in_process import cli

from scoremix.manifests.published.verify import verify
from scoremix.pipeline.config import Config, compose

START: dict[str, Any] = {"seed": 0, "generate.ratio": 1, "generate.alpha": 0.2}
START |= {"ingest.resolution": 8, "ingest.per_class": 5, "write.shard_size": 6}
FIXED = ["--set", "generate.method=mixup", "--set", "ingest.holdout=0"]

fresh: dict[str, dict[str, str]] = {}  # options -> the shards that a first run makes of them


def run(images: Path, folder: Path, options: dict[str, Any], *more: str) -> int:
    """Up to the shards; mixup, so that it takes a fraction of a second."""
    sets = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
    places = ["--data", str(images), "--out", str(folder / "shards"), "--until", "write"]
    words = ["augment", *places, "--quiet", *FIXED, *sets, *more]
    return cli(*words)


class Staleness(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.images = tiny.make_images(self.root / "images")
        self.options = dict(START)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    @rule(
        change=st.sampled_from(
            [
                ("seed", 1),
                ("seed", 0),
                ("generate.alpha", 0.5),
                ("generate.alpha", 0.2),
                ("ingest.resolution", 16),
                ("ingest.resolution", 8),
                ("ingest.per_class", 4),
                ("ingest.per_class", 5),
                ("write.shard_size", 4),
                ("write.shard_size", 6),
            ]
        )
    )
    def change(self, change: tuple[str, Any]) -> None:
        self.options[change[0]] = change[1]

    @precondition(lambda self: self.options["generate.ratio"] < 3)
    @rule()
    def raise_the_ratio(self) -> None:
        self.options["generate.ratio"] += 1

    @rule(data=st.data())
    def lose_a_file(self, data: st.DataObject) -> None:
        """A file is gone; not the ledger, without which the shards are a stranger's."""
        files = [path for path in self.root.glob("shards*/**/*") if path.is_file()]
        names = sorted(str(path) for path in files if path.name != "stages.lock.json")
        if names:
            os.unlink(data.draw(st.sampled_from(names)))

    @rule()
    def copy_the_images_elsewhere_in_time(self) -> None:
        for path in self.images.rglob("*.png"):
            os.utime(path)

    @rule()
    def stop_early(self) -> None:
        assert run(self.images, self.root, self.options, "--until", "ingest") == 0

    @rule()
    def bring_up_to_date(self) -> None:
        assert run(self.images, self.root, self.options) == 0
        shards = self.root / "shards"
        assert verify(shards) == []
        key = repr(sorted(self.options.items()))
        if key not in fresh:
            with tempfile.TemporaryDirectory() as other:
                assert run(self.images, Path(other), self.options) == 0
                fresh[key] = tiny.digests(Path(other) / "shards")
        assert tiny.digests(shards) == fresh[key]
        # And once more: nothing to do, and nothing is touched.
        before = {path: path.stat().st_mtime_ns for path in shards.iterdir()}
        assert run(self.images, self.root, self.options) == 0
        assert before == {path: path.stat().st_mtime_ns for path in shards.iterdir()}


TestStaleness = Staleness.TestCase
TestStaleness.settings = settings(
    max_examples=int(os.environ.get("SCOREMIX_EXAMPLES", "12")),
    stateful_step_count=16,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def test_the_saved_options_of_runs_before_keep_their_network_and_method() -> None:
    train = {"steps": 6, "width": 4, "batch": 4, "lr": 1e-3, "levels": "uniform"}
    train |= {"preset": "tiny", "checkpoint_every": 3, "ema": 0.999, "flip": False}
    bridge = {"steps": 2, "lr": 0.002, "t0": 0.5, "denoise_steps": 25, "noise_rule": "ancestral"}
    bridge |= {"method": "bridge", "alpha": 0.2}

    def resolved(train: dict[str, Any], generate: dict[str, Any]) -> Config:
        values = {"train": train, "generate": generate}
        return compose(values, [], "stages.yaml").resolved(8, "cpu", 50)

    before = resolved(train, bridge)
    assert before.train.network == "refinenet" and before.generate.keep == "noise"
    again = compose({"train": train, "generate": bridge}, ["generate.keep=both"], "stages.yaml")
    assert again.resolved(8, "cpu", 50).generate.keep == "both"
    # What was saved since says what it is; and options that are set by hand are no saved run.
    since = resolved(train | {"early_stop": True}, bridge | {"gamma": 0.0})
    assert since.train.network == "unet" and since.generate.keep == "both"
    by_hand = resolved({"preset": "tiny", "width": 4}, {"method": "bridge", "t0": 0.5})
    assert by_hand.train.network == "unet" and by_hand.generate.keep == "both"
