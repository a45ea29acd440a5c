"""What each stage is made from: the content that the ledger compares."""

import json
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from ..manifests.files.atomic import canonical_digest
from ..manifests.foreign_text import is_incomplete, redact_all, redact_url
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import is_url
from ..stages.evaluate import config as evaluating
from ..stages.evaluate.variant_catalogue import MAY_CHANGE, changes_of
from ..stages.generate.config import OPTIONS_OF_CLASSES
from ..stages.generate.recipe import Recipe
from ..stages.images.plugins import is_installed
from ..stages.ingest import ingest as ingesting
from ..stages.pilot import config as piloting
from ..stages.recognise import config as recognising
from ..stages.sources import remote
from ..stages.sources.bundled import PACKAGES
from ..stages.sources.folders import walk
from ..stages.sources.open import files_beside
from ..stages.sources.patterns import expand_pattern
from ..stages.sources.spec import BUNDLED
from ..stages.train import config as training
from .config import FEATURE_WORDS, Config
from .decided import APART
from .ledger import Ledger
from .new_classes import class_request
from .planned import Planned, plan_options_of

DECODERS = "decoders"  # an input of ingest


def inputs_of_ingest(config: Config, ledger: Ledger | None = None) -> dict[str, Any]:
    """Without the secrets of URLs: another signature of the same file is no change.

    ledger: of a run whose stages.yaml may have been stored without them. What such a URL leads to
    is then taken for unchanged.
    """
    beside = config.ingest.reference_source
    known = _known_fingerprints(ledger)

    def made_of(source: str) -> Any:
        if source in known and is_incomplete(source):
            return known[source]
        return fingerprint(source, follow_links=config.ingest.follow_links)

    # A package that some images lacked, and that is here now: they can be read.
    lacked = ledger.outcome("ingest").get("packages", []) if ledger is not None else []
    decoders = [package for package in lacked if is_installed(package)]
    return (
        ({DECODERS: decoders} if decoders else {})
        | {
            "options": redact_all(config.ingest.model_dump(mode="json")),
            "seed": config.seed,
            "source": [made_of(asked.source) for asked in config.ingest.sources],
            "reference": None if beside is None else made_of(beside.source),
            "algorithm": ingesting.ALGORITHM,
        }
        | ({"reference_patches": True} if config.ingest.patches and beside else {})
    )


def _known_fingerprints(ledger: Ledger | None) -> dict[str, Any]:
    """By the redacted name of the source, as the last ingest recorded them."""
    inputs = ledger.stages.get("ingest", {}).get("inputs") if ledger is not None else None
    if inputs is None:
        return {}
    listed, beside = inputs["options"]["source"], inputs["options"].get("reference")
    entries = [*(listed if isinstance(listed, list) else [listed]), beside]
    names = [one["source"] if isinstance(one, dict) else one for one in entries]
    prints = [*inputs["source"], inputs.get("reference")]
    return {redact_url(name): value for name, value in zip(names, prints, strict=True) if name}


def inputs_of_train(
    config: Config, corpus_digest: str, ledger: Ledger | None = None
) -> dict[str, Any]:
    """config: resolved.

    ledger: of a run whose network may be an earlier version's. One that knows classes was chosen
    there by its held-out loss with the null class: it is what it is, and is not trained again.
    """
    inputs = {
        "options": config.train.as_inputs(),
        "seed": config.seed,
        "t0": config.train.focused_on(config.generate.highest_t0),
        "corpus": corpus_digest,
        "algorithm": config.train.algorithm,
    }
    before = json.loads(json.dumps(inputs | {"algorithm": training.ALGORITHM}))
    recorded = None if ledger is None else ledger.stages.get("train", {}).get("inputs")
    return before if recorded == before else inputs


def inputs_of_pilot(config: Config, ledger: Ledger) -> dict[str, Any]:
    """Corpus and network are those that the ledger records. Neither the ratio nor alpha counts, nor
    do the features: another ratio, or another evaluation, keeps the method of a corpus.

    config: resolved, with method `auto`.
    """
    apart = set(APART) | set(OPTIONS_OF_CLASSES)
    apart |= {"guide"} if config.generate.guide == "early" else set()  # as before there was one
    return {
        "options": config.generate.model_dump(mode="json", exclude=apart),
        "pilot": config.pilot.model_dump(mode="json"),
        "seed": config.seed,
        "corpus": ledger.outcome("ingest").get("digest"),
        "network": ledger.outcome("train").get("weights_sha256"),
        "algorithm": piloting.ALGORITHM,
    }


def inputs_of_recognise(config: Config, corpus_digest: str) -> dict[str, Any]:
    """config: resolved."""
    request = class_request(config)
    return {
        "options": config.recognise.model_dump(mode="json"),
        "new_classes": {"count": request.count, "weights": list(request.weights)},
        "seed": config.seed,
        "corpus": corpus_digest,
        "algorithm": recognising.ALGORITHM,
    }


def inputs_of_plan(config: Config, recipe: Recipe) -> dict[str, Any]:
    options = vars(plan_options_of(config))
    if config.generate.by_class:  # new ones are in the recipe, real ones to be made again are not
        options = options | {"new_classes": config.generate.new_classes}
    return {"options": options, "seed": config.seed, "recipe": recipe.as_json()}


def inputs_of_write(planned: Planned) -> dict[str, Any]:
    expected = [(task.name, task.rows_digest, task.recipe_digest) for task in planned.shards]
    return {"plan": planned.digest, "shards": canonical_digest(expected)}


def inputs_of_evaluate(config: Config, planned: Planned) -> dict[str, Any]:
    # Earlier versions did not measure what was cut off; all other metrics are as they were.
    extrapolates = any(one.extrapolates for one in planned.new_classes)
    # Variants are made by options that the recipe of the corpus may make no use of.
    variants = {
        name: {key: getattr(config.generate, key) for key in MAY_CHANGE} | dict(changes)
        for name, changes in changes_of(config.evaluate.variants, config.generate).items()
    }
    return ({"clipped": True} if extrapolates else {}) | {
        "variants": variants,
        "options": config.evaluate.model_dump(mode="json"),
        "features": fingerprint(named_path(config.evaluate.features)),
        "weights": fingerprint(config.evaluate.inception_weights),
        "extras": [fingerprint(config.evaluate.lpips), fingerprint(config.evaluate.classifier)],
        "seed": config.seed,
        "plan": planned.digest,
        "recipe": planned.recipe.as_json(),
        "algorithm": evaluating.ALGORITHM,
    }


def command_to_train_longer(files: RunFolder, config: Config, model: dict[str, Any] | None) -> str:
    """The command that trains twice as long and brings everything after it up to date; empty where
    the training stopped by itself, so that it would stop again."""
    assert config.train.steps is not None
    if model is not None and model["training"]["steps"] < config.train.steps:
        return ""
    more = f"--set train.steps={max(2 * config.train.steps, 1000)}"
    return f"scoremix-pipeline run {files.config} {more}"


def named_path(features: str) -> str | None:
    """`evaluate.features` where it is a path."""
    return None if features in FEATURE_WORDS else features


def fingerprint(source: str | None, *, follow_links: bool = False) -> Any:
    """Tells whether a source changed, without reading it: names, sizes and times of its files.

    follow_links: of a folder's links, those of what they lead to.
    """
    if source is None:
        return None
    if source in BUNDLED:
        package = PACKAGES[source]
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            return None
    if is_url(source):
        return remote.fingerprint(source)
    paths = [Path(path) for path in expand_pattern(source)]
    if len(paths) == 1 and paths[0].is_dir():
        return canonical_digest(sorted(list_files(paths[0], follow_links=follow_links)))
    found = [(path, path.stat()) for path in paths if path.is_file()]
    several = len(paths) > 1  # then the names decide the order
    listed = [
        [path.name if several else None, state.st_size, state.st_mtime_ns] for path, state in found
    ]
    beside = [(path, path.stat()) for path in files_beside(source)] if found else []
    listed += [[path.name, state.st_size, state.st_mtime_ns] for path, state in beside]
    return listed or None


def list_files(folder: Path, *, follow_links: bool) -> Iterator[tuple[str, int, int]]:
    """(name, size, time of change in ns) of every file below a folder: what its digest is of."""
    return (_followed_files if follow_links else _files)(folder)


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            state = path.lstat()
            yield str(path.relative_to(folder)), state.st_size, state.st_mtime_ns


def _followed_files(folder: Path) -> Iterator[tuple[str, int, int]]:
    for entry in walk(folder, follow_links=True):
        if entry.kind != "folder":
            path = Path(entry.path)
            state = path.stat() if entry.kind == "file" else path.lstat()
            yield entry.name, state.st_size, state.st_mtime_ns
