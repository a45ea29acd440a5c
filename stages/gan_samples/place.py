"""The place of samples, checked before anything that reads them is loaded."""

from pathlib import Path

from ...manifests.errors import ConfigError


def check_place(given: Path) -> None:
    """Raises ConfigError where nothing lies at `given`."""
    if not given.exists():
        raise ConfigError(
            f"--generated {given}: there is nothing there. Name a folder, zip, .npz or .npy of the"
            " images that the GAN made."
        )
