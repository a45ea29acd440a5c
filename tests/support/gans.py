"""Where a trial keeps its GANs."""

from pathlib import Path


def gan(run: Path, arm: str, seed: int = 0) -> Path:
    """The folder of one GAN, of a trial whose GANs were all trained with the same options."""
    (found,) = (run / "trial" / "gans").glob(f"*/{arm}/seed-{seed}")
    return found
