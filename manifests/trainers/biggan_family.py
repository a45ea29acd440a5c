"""Rows of the table of trainers: BigGAN-PyTorch and what was made of it, and PyTorch-StudioGAN.

All are class-conditional, and read class folders or one HDF5 file.
"""

from dataclasses import replace

from .image_endings import BIGGAN, TORCHVISION
from .shared_texts import CLEAN_FID, CONVERTS
from .spec import TrainerSpec

_SIDES = (32, 64, 128, 256)
_INDEX = "It caches I{network}_imgs.npz in its working directory: delete that after a new export."
_MOMENTS = "It wants the moments file before training; take it from the real images."
_BATCH = (
    "It drops batches that are not full, and loads two at once: {batch} is the largest of use here."
)
_TRAIN = (
    "python train.py --dataset {dataset} --data_root {{out}} --shuffle --load_in_mem "
    "--batch_size {{batch}}"
)
_EVALUATE = "python calculate_inception_moments.py --dataset {dataset} --data_root {{real}}"
_STUDIOGAN_CONFIG = "num_classes: {classes} and img_size: {resolution} in CFG.yaml"

_BIGGAN_HDF5 = TrainerSpec(
    "biggan",
    "hdf5",
    "BigGAN-PyTorch",
    exact=True,
    sides=_SIDES,
    max_classes=1000,
    axes="NCHW",
    file="ILSVRC{resolution}.hdf5",
    file_pattern=r"ILSVRC{resolution}\.hdf5",
    train=_TRAIN.format(dataset="I{resolution}_hdf5"),
    evaluate=_EVALUATE.format(dataset="I{resolution}_hdf5"),
    notes=(
        _BATCH,
        _MOMENTS,
        "It has 1,000 classes; labels 0 to {last_class} use the first of them.",
    ),
    remember=("--dataset I{resolution}_hdf5 --data_root {parent}",),
)
_BIGGAN_FOLDER = TrainerSpec(
    "biggan",
    "imagefolder",
    "BigGAN-PyTorch",
    networks=_SIDES,
    endings=BIGGAN,
    any_case=True,
    max_classes=1000,
    split="ImageNet",
    fixed_split=True,
    train=_TRAIN.format(dataset="I{network}"),
    evaluate=_EVALUATE.format(dataset="I{network}"),
    notes=(
        _BATCH,
        _MOMENTS,
        _INDEX,
        "It has networks for 32, 64, 128 and 256 px, and scales other images.",
        CONVERTS,
    ),
    remember=(
        "delete I{network}_imgs.npz in the trainer's working folder after each new export: it is a"
        " cache of the file names and goes stale",
    ),
)
# DiffAugment took the scaling out of BigGAN's loader; LeCam-GAN runs in DiffAugment's code.
_DIFFAUGMENT_FOLDER = replace(
    _BIGGAN_FOLDER,
    trainer="diffaugment-biggan",
    title="DiffAugment-biggan-cifar",
    networks=(),
    exact=True,
    sides=_SIDES,
    split="train",
    fixed_split=False,
    train=_TRAIN.format(dataset="I{network}") + " --DiffAugment translation,cutout",
    evaluate=CLEAN_FID,
    notes=(_BATCH, _INDEX, CONVERTS),
)

BIGGAN_FAMILY: tuple[TrainerSpec, ...] = (
    TrainerSpec(
        "studiogan",
        "hdf5",
        "PyTorch-StudioGAN",
        exact=True,
        usual_sides=(32, 64, 128, 256, 512),
        axes="NHWC",
        file="{name}_{resolution}_wo_resize_train.hdf5",
        file_pattern=r".+_{resolution}_.+_train\.hdf5",
        train="python src/main.py -t -hdf5 -l -metrics none -cfg CFG.yaml -data {out} -save RUNS",
        evaluate="python src/main.py -metrics fid -ref train -ckpt CKPT -cfg CFG.yaml -data {real} "
        "-save RUNS",
        real_to="imagefolder",
        notes=(
            "CFG.yaml must say DATA: name: {name}, img_size: {resolution}, num_classes: {classes}, "
            "or the file is not found and made anew from a folder.",
            "wo_resize is its default --pre_resizer; with another one rename the file.",
        ),
        remember=(_STUDIOGAN_CONFIG,),
    ),
    TrainerSpec(
        "studiogan",
        "imagefolder",
        "PyTorch-StudioGAN",
        endings=TORCHVISION,
        any_case=True,
        real_split="valid",
        train="python src/main.py -t -metrics none -cfg CFG.yaml -data {out} -save RUNS",
        evaluate="python src/main.py -metrics fid -ref valid -ckpt CKPT -cfg CFG.yaml -data {out} "
        "-save RUNS",
        notes=(
            "valid/ holds the corpus's real images: -ref valid compares with those.",
            CONVERTS,
        ),
        remember=(_STUDIOGAN_CONFIG,),
    ),
    _BIGGAN_HDF5,
    _BIGGAN_FOLDER,
    replace(
        _DIFFAUGMENT_FOLDER,
        trainer="lecam",
        title="LeCam-GAN (biggan_cifar)",
        train=_TRAIN.format(dataset="I{network}"),
    ),
    replace(
        _BIGGAN_HDF5,
        trainer="lecam",
        title="LeCam-GAN (biggan_cifar)",
        evaluate=CLEAN_FID,
        notes=(),
    ),
    _DIFFAUGMENT_FOLDER,
)
