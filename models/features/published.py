"""Published networks that can be had as features: file names, addresses, digests. No torch here.

Nothing is downloaded unless `scoremix-pipeline features --make` is asked to by name.
"""

import re
from dataclasses import dataclass

INCEPTION_FILE = "inception-2015-12-05.pt"  # the only name that clean-fid opens
# sha256 of NVIDIA's TorchScript translation of TensorFlow's inception-2015-12-05, which clean-fid,
# stylegan2-ada-pytorch and k-diffusion (which pins this hash) fetch.
INCEPTION_SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"


@dataclass(frozen=True)
class PublishedNetwork:
    """One network: where its weights are published, and how images come to it."""

    name: str  # as --make has it, and as metrics are named
    package: str  # that has its architecture; "" for one that is a TorchScript file already
    architecture: str  # its name there
    weights: str  # file name
    address: str
    sha256: str  # of the weights: all of it, or the beginning that is in their published name
    side: int = 0  # px, to which images are resized first
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of values in [0, 1], by channel
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    dimensions: int = 0  # of its vectors


_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

PUBLISHED = {
    one.name: one
    for one in (
        PublishedNetwork(
            "mobilenetv2",
            "torchvision",
            "mobilenet_v2",
            "mobilenet_v2-b0353104.pth",
            "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
            "b0353104",
            128,
            *_IMAGENET,
            1280,
        ),
        PublishedNetwork(
            "dino",
            "timm",
            "vit_small_patch16_224.dino",
            "dino_deitsmall16_pretrain.pth",
            "https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/"
            "dino_deitsmall16_pretrain.pth",
            "",  # none is published
            224,
            *_IMAGENET,
            384,
        ),
        PublishedNetwork(
            "inception",
            "",
            "",
            INCEPTION_FILE,
            f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{INCEPTION_FILE}",
            INCEPTION_SHA256,
            dimensions=2048,
        ),
    )
}

# How a better network than `random` comes about: the end of every error of one that is missing.
HOW = (
    "Nothing is downloaded unasked. Three ways to a network:\n"
    "  scoremix-pipeline features --make mobilenetv2.pt    (needs torchvision; or dino.pt, with"
    " timm)\n"
    f"  {INCEPTION_FILE}, from {PUBLISHED['inception'].address}\n"
    f"    (sha256 {INCEPTION_SHA256}):\n"
    f"    scoremix-pipeline features --make {INCEPTION_FILE} --from THE_DOWNLOADED_FILE\n"
    "  then: scoremix-pipeline evaluate RUN --features mobilenetv2.pt, or --features inception"
    f" --set evaluate.inception_weights={INCEPTION_FILE}"
)


def published(name: str) -> PublishedNetwork | None:
    """The network that a file's name says: mobilenetv2.pt, dino.pt, inception-2015-12-05.pt.

    dinov2.pt and dino_v2.pt say another one, which is not here.
    """
    stem = name.rpartition("/")[2].partition(".")[0].lower().replace("mobilenet_v2", "mobilenetv2")
    said = (key for key in PUBLISHED if re.match(rf"{key}(?![a-z0-9]|[-_]?v\d)", stem))
    return PUBLISHED.get(next(said, ""))
