"""A GAN's training loop on an augmented corpus, with the two ways in which scoremix feeds one.

    scoremix-pipeline run examples/unconditional.yaml
    python examples/training_loop.py runs/unconditional --steps 200

`offline`: the corpus that was made and verified before. `online`: real images alone, each batch
mixed anew by the run's own network. The GAN is as small as it can be, so that the loop is what is
seen; put your own networks in its place.
"""

import argparse
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader

import scoremix

LATENT = 64


def to_signed(image: Tensor) -> Tensor:
    """uint8 (C, H, W) -> float32 in [-1, 1], which GANs are trained in."""
    return image.float() / 127.5 - 1.0


def offline(run: str, batch: int, ratio: int) -> Iterator[Tensor]:
    """Batches of the corpus, (B, C, H, W) in [-1, 1], without end."""
    corpus = scoremix.Corpus(run, ratio=ratio, transform=to_signed)
    loader = DataLoader(corpus, batch, shuffle=True, drop_last=True)
    while True:
        for images, _labels, _keys in loader:
            yield images


def online(run: str, batch: int) -> Iterator[Tensor]:
    """Real images, each batch mixed anew, half of it left as it is."""
    mixer = scoremix.load(run, value_range=(-1.0, 1.0))
    corpus = scoremix.Corpus(run, ratio=0, transform=to_signed)
    loader = DataLoader(corpus, batch, shuffle=True, drop_last=True)
    while True:
        for images, labels, _keys in loader:
            mixed = mixer(images, labels if mixer.classes else None)
            half = len(images) // 2
            yield torch.cat([images[:half], mixed[half:]])


def train(batches: Iterator[Tensor], shape: tuple[int, ...], steps: int, batch: int) -> float:
    """Trains a GAN for so many steps; returns the discriminator's last loss."""
    size = torch.Size(shape).numel()
    generator = nn.Sequential(
        nn.Linear(LATENT, 128), nn.ReLU(), nn.Linear(128, size), nn.Tanh(), nn.Unflatten(1, shape)
    )
    discriminator = nn.Sequential(
        nn.Flatten(), nn.Linear(size, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1)
    )
    of_g = torch.optim.Adam(generator.parameters(), 2e-4, betas=(0.5, 0.99))
    of_d = torch.optim.Adam(discriminator.parameters(), 2e-4, betas=(0.5, 0.99))
    loss = torch.zeros(())
    for _ in range(steps):
        real, fake = next(batches), generator(torch.randn(batch, LATENT))

        # The discriminator: real images up, made ones down.
        loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake.detach())).mean()
        of_d.zero_grad()
        loss.backward()
        of_d.step()

        # The generator: its images up.
        of_g.zero_grad()
        softplus(-discriminator(fake)).mean().backward()
        of_g.step()
    return float(loss)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", help="a run folder")
    parser.add_argument("--online", action="store_true", help="mix each batch anew")
    parser.add_argument("--ratio", type=int, default=1, help="of the corpus, without --online")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32)
    asked = parser.parse_args()
    shape = scoremix.Corpus(asked.run, ratio=0)[0][0].shape
    batches = (
        online(asked.run, asked.batch)
        if asked.online
        else offline(asked.run, asked.batch, asked.ratio)
    )
    loss = train(batches, tuple(shape), asked.steps, asked.batch)
    print(f"{asked.steps} steps of {asked.batch}; the discriminator's loss is {loss:.3f}")


if __name__ == "__main__":
    main()
