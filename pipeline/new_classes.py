"""The new classes of a run: as its recogniser chose them, or a seeded random choice."""

from dataclasses import replace

from ..manifests.errors import ConfigError
from ..manifests.plan.new_classes import (
    NEW_CLASS_METHODS,
    NewClass,
    class_count,
    random_classes,
    read_new_classes,
)
from ..manifests.run_folder import RunFolder
from ..stages.corpus.store import Corpus
from .config import Config


def new_classes_of(files: RunFolder, config: Config, corpus: Corpus) -> tuple[NewClass, ...]:
    """The classes that the plan of a resolved config makes; none for methods that make none.

    Those of recogniser/new_classes.json where it is there, with the weights of `generate`; the
    first of them where fewer are asked for. Else `random`, from corpus, options and seed alone.

    Raises:
        ConfigError: fewer real classes than a new one mixes, or not as many new ones as asked for.
        VerifyError: the file is damaged, or of another corpus.
    """
    generate, real = config.generate, len(corpus.classes)
    if generate.method not in NEW_CLASS_METHODS:
        return ()
    chosen = read_new_classes(files.new_classes, corpus.digest, real)
    if chosen is None:
        return random_new_classes(config, corpus)
    asked, weights = generate.new_classes, generate.weights
    members = {len(one.classes) for one in chosen}
    if asked is not None and asked > len(chosen) or members != {len(weights)}:
        raise ConfigError(
            f"generate.new_classes is {asked} with {len(weights)} weights, and {files.new_classes}"
            f" has {len(chosen)} classes of {', '.join(map(str, sorted(members)))} members. Ask for"
            " as many or fewer, or choose classes again with `recognise`."
        )
    return tuple(replace(one, weights=weights) for one in chosen[:asked])


def random_new_classes(config: Config, corpus: Corpus) -> tuple[NewClass, ...]:
    """The seeded random choice, which needs no recogniser."""
    generate = config.generate
    count = class_count(generate.new_classes, len(corpus.classes), len(generate.weights))
    return tuple(random_classes(corpus.classes, count, generate.weights, config.seed))
