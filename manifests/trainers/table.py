"""Which trainer reads what: one literal table, a row for each trainer and target.

The first row of a trainer is its default. What a trainer needs was read in its source, and mostly
run; where the source leaves it open a row asks for nothing. `export`, `mount` and `check` read this
table; docs/trainers.md and docs/check.md are made from it.

Placeholders in commands and notes: {out} the export, {real} an export of the real images alone and
{real_name} its name, {name} of the corpus, {resolution} its side in pixels, {network} the side of
the network that fits it, {classes}, {last_class}, {count} of images, {batch} the largest batch that
fills; {cond} is the row's `conditional` where the export has labels of two or more classes.
The placeholders of `preset` are in presets.py.
In `file` and `file_pattern`: {name}, {resolution}. In `remember`: {resolution}, {network},
{classes}, {parent} the folder that holds the corpus.
"""

from dataclasses import replace

from . import biggan_family, other_presets, stylegan_family
from .image_endings import CUT, LUCIDRAINS, TORCHVISION
from .shared_texts import CLEAN_FID, CONVERTS
from .spec import Target, TrainerSpec

_OWN_FID = "Its --calculate-fid-every compares with the augmented set."
_NO_TEST = "testA/ and testB/ are not written: held-out images are not in the shards."
_FASTGAN_SIDES = (256, 512, 1024)

# A target without a trainer: the layout itself. Its rows ask for no more than any reader needs.
PLAIN: dict[Target, TrainerSpec] = {
    "stylegan": stylegan_family.PLAIN,
    "imagefolder": TrainerSpec(
        "", "imagefolder", "any reader of this layout", endings=TORCHVISION, any_case=True
    ),
    "unpaired": TrainerSpec(
        "", "unpaired", "any reader of this layout", endings=CUT, needs_classes=True
    ),
    "hdf5": TrainerSpec("", "hdf5", "any reader of this layout", exact=True),
    "lmdb": TrainerSpec(
        "",
        "lmdb",
        "any reader of this layout",
        modes=("RGB",),
        exact=True,
        usual_power_of_two=True,
        least_side=4,
    ),
}

_CUT = replace(
    PLAIN["unpaired"],
    networks=(32, 64, 128, 256, 512, 1024),  # below, its discriminator runs out of pixels
    train="python train.py --dataroot {out} --name {name} --CUT_mode CUT "
    "--load_size {network} --crop_size {network}",
    evaluate="python test.py --dataroot {out} --name {name} --CUT_mode CUT --phase train "
    "--load_size {network} --crop_size {network}",
)
_LUCIDRAINS = TrainerSpec(
    "",
    "imagefolder",
    "",
    any_depth=True,
    endings=LUCIDRAINS,
    evaluate=CLEAN_FID,
    notes=(
        _OWN_FID,
        "Its networks have sides that are powers of two; it scales other images.",
        CONVERTS,
    ),
    remember=("--image-size {network}",),
)

_TRANSLATION: tuple[TrainerSpec, ...] = (
    replace(
        _CUT,
        trainer="cut",
        title="CUT",
        notes=(
            f"{_NO_TEST} Put yours there, or translate the training images with --phase train.",
            "A and B are not paired by the loader.",
            CONVERTS,
        ),
        preset=other_presets.CUT,
    ),
    replace(
        _CUT,
        trainer="fastcut",
        title="FastCUT",
        train=_CUT.train.replace("CUT_mode CUT", "CUT_mode FastCUT"),
        evaluate=_CUT.evaluate.replace("CUT_mode CUT", "CUT_mode FastCUT"),
        notes=(_NO_TEST, CONVERTS),
        remember=("--CUT_mode FastCUT",),
    ),
    replace(
        PLAIN["unpaired"],
        trainer="sincut",
        title="SinCUT",
        # With --preprocess none; its StyleGAN2 networks have a table of channels by side.
        exact=True,
        sides=(8, 16, 32, 64, 128, 256, 512, 1024),
        train="python train.py --model sincut --dataroot {out} --name {name} "
        "--dataset_mode unaligned --preprocess none --batch_size 16 "
        "--load_size {resolution} --crop_size {resolution}",
        evaluate="python test.py --model sincut --dataroot {out} --name {name} --phase train "
        "--dataset_mode unaligned --preprocess none "
        "--load_size {resolution} --crop_size {resolution}",
        single_image=(
            "python train.py --model sincut --dataroot {out} --name {name}",
            "python test.py --model sincut --dataroot {out} --name {name} --phase train",
        ),
        preset=other_presets.SINCUT,
        notes=(
            "Its default --dataset_mode singleimage takes exactly one image a side, of any size;"
            " for more images the command names another mode, which does not scale.",
            CONVERTS,
        ),
    ),
)

TRAINERS: tuple[TrainerSpec, ...] = (
    *stylegan_family.STYLEGAN_FAMILY,
    TrainerSpec(
        "stargan-v2",
        "imagefolder",
        "StarGAN v2",
        networks=(32, 64, 128, 256, 512, 1024),
        endings=(".png", ".jpg", ".jpeg", ".JPG"),
        least_images=8,  # its loader drops the last batch that is not full; batches have 8
        needs_classes=True,
        real_split="val",
        lists_files=True,
        train="python main.py --mode train --num_domains {classes} --w_hpf 0 "
        "--train_img_dir {out}/train --val_img_dir {out}/val --img_size {network}",
        evaluate="python main.py --mode eval --num_domains {classes} --w_hpf 0 --resume_iter 100000"
        " --train_img_dir {real}/train --val_img_dir {real}/val --img_size {network}",
        notes=(
            "Its FID reads --train_img_dir: in training that is the augmented set.",
            "val/ holds the corpus's real images, which train/ has too: put held-out images there "
            "where you have some.",
            CONVERTS,
        ),
        remember=("--num_domains {classes}", "--img_size {network}"),
        preset=other_presets.STARGAN_V2,
    ),
    *biggan_family.BIGGAN_FAMILY,
    *_TRANSLATION,
    TrainerSpec(
        "dcgan",
        "imagefolder",
        "pytorch/examples DCGAN",
        networks=(64,),
        endings=TORCHVISION,
        any_case=True,
        train="python main.py --dataset folder --dataroot {out}/train --imageSize {network}",
        evaluate=CLEAN_FID,
        notes=("Its networks are made for 64 px: it scales other images.", CONVERTS),
        remember=("--imageSize 64: its networks are made for that, and other images are scaled",),
        preset=other_presets.DCGAN,
    ),
    replace(
        _LUCIDRAINS,
        trainer="stylegan2-pytorch",
        title="lucidrains/stylegan2-pytorch",
        networks=(8, 16, 32, 64, 128, 256, 512, 1024, 2048),
        # It only drops alpha: an index image or a gray one with alpha goes in as it is.
        modes=("RGB", "L", "RGBA"),
        train="stylegan2_pytorch --data {out} --image-size {network}",
    ),
    replace(
        _LUCIDRAINS,
        trainer="lightweight-gan",
        title="lucidrains/lightweight-gan",
        networks=(32, 64, 128, 256, 512, 1024, 2048),  # its discriminator halves twice to 8 px
        train="lightweight_gan --data {out} --image-size {network}",
    ),
    TrainerSpec(
        "fastgan",
        "imagefolder",
        "FastGAN-pytorch",
        networks=_FASTGAN_SIDES,
        endings=(".jpg", ".png", ".jpeg"),
        flat=True,
        train="python train.py --path {out} --im_size {network}",
        evaluate=CLEAN_FID,
        notes=(
            "It lists one folder and no sub-folder: classes are not kept.",
            "It has networks for 256, 512 and 1024 px, and scales other images.",
            CONVERTS,
        ),
        remember=("--im_size {network}",),
        preset=other_presets.FASTGAN,
    ),
    replace(
        PLAIN["lmdb"],
        trainer="fastgan",
        title="FastGAN-pytorch",
        usual_power_of_two=False,
        sides=(1024,),
        networks=_FASTGAN_SIDES,
        path_word="lmdb",
        train="python train.py --path {out} --im_size {network}",
        evaluate=CLEAN_FID,
        notes=("It reads an LMDB only if its path has `lmdb` in it.",),
    ),
    replace(
        PLAIN["lmdb"],
        trainer="rosinality",
        title="rosinality/stylegan2-pytorch",
        power_of_two=True,
        usual_power_of_two=False,
        train="python train.py --size {resolution} --batch 16 {out}",
        evaluate="python calc_inception.py --size {resolution} {real}"
        "; python fid.py --inception inception_{real_name}.pkl CHECKPOINT.pt",
        notes=("It has no labels.",),
        remember=("--size {resolution}",),
    ),
)
