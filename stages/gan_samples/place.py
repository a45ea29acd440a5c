"""The place of samples, checked before anything that reads them is loaded."""

from pathlib import Path

from ...manifests.errors import ConfigError


def check_place(given: Path, option: str = "--generated") -> None:
    """Raises ConfigError where nothing lies at `given`. option: that names it, for the message."""
    if not given.exists():
        raise ConfigError(
            f"{option} {given}: there is nothing there. Name a folder, zip, .npz or .npy of the"
            " images that the GAN made."
        )
