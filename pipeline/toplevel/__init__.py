"""scoremix in Python: mix batches with a run's own network, read its corpus as a torch Dataset.

    import scoremix

    mixer = scoremix.load("runs/photos")            # its network, its method, its options
    mixed = mixer(x, labels)                        # a batch in, a batch of mixtures out
    data = scoremix.Corpus("runs/photos", ratio=3)  # (image, label, key), for a DataLoader
    rows = data.stream(shuffle=1000)                # the same from the tars, front to back

docs/python.md has more of each. The packages below this one (scoremix.pipeline and so on) are what
the command line is made of. Nothing is imported before it is asked for: `import scoremix` does not
wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoremix.pipeline.library.corpus_dataset import CorpusDataset as Corpus
    from scoremix.pipeline.library.corpus_dataset import CorpusStream
    from scoremix.pipeline.library.mixer import Mixed, Mixer
    from scoremix.pipeline.library.open_run import load
    from scoremix.pipeline.library.version import installed_version

    __version__: str = installed_version()

__all__ = ["Corpus", "CorpusStream", "Mixed", "Mixer", "__version__", "load"]

_PLACES = {
    "Corpus": ("corpus_dataset", "CorpusDataset"),
    "CorpusStream": ("corpus_dataset", "CorpusStream"),
    "Mixed": ("mixer", "Mixed"),
    "Mixer": ("mixer", "Mixer"),
    "load": ("open_run", "load"),
}


def __getattr__(name: str) -> Any:
    """The names of __all__, imported when they are first used."""
    if name == "__version__":
        return import_module("scoremix.pipeline.library.version").installed_version()
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, inside = _PLACES[name]
    return getattr(import_module(f"scoremix.pipeline.library.{module}"), inside)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
