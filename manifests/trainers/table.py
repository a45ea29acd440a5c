"""Which trainer reads what: one literal table, a row per trainer and target, with its commands.

The first row of a trainer is its default. What a trainer needs was read in its source, and mostly
run; where the source leaves it open a row asks for nothing. docs/trainers.md is derived from here.

In commands: {out} the export, {real} an export of the real images alone and {real_name} its name,
{name} of the corpus, {resolution}, {network} that fits it, {classes}, {last_class}, {count} of
images; {cond} is the row's `conditional` where the export has labels of two or more classes.
"""

from .spec import TrainerSpec

_CLEAN_FID = (
    "python -c \"from cleanfid import fid; print(fid.compute_fid('SAMPLES', '{real}'))\"  "
    "# SAMPLES: a folder of generated images"
)


_FID = "Training-time FID compares with the augmented set, so it is switched off (--metrics=none)."
_ADA = (
    "Compare with --aug=ada too: adaptive augmentation on top of an augmented corpus is untested."
)
_OWN = "It converts gray images itself."
_INDEX = (
    "It caches I{resolution}_imgs.npz in its working directory: delete that after a new export."
)
_MOMENTS = "It wants the moments file before training; take it from the real images."
_BIGGAN = (32, 64, 128, 256)
_CUT = (32, 64, 128, 256, 512, 1024)  # below, its discriminator runs out of pixels
_FILLED = (
    "It drops batches that are not full, and loads two at once: {batch} is the largest of use here."
)

_ADA_EVALUATE = (
    "python calc_metrics.py --metrics=fid50k_full --data={real} --network=NETWORK.pkl --gpus=1"
)
_MOMENTS_OF = "python calculate_inception_moments.py --dataset {dataset} --data_root {{real}}"
_BIGGAN_TRAIN = (
    "python train.py --dataset {dataset} --data_root {{out}} --shuffle --load_in_mem "
    "--batch_size {{batch}}"
)

TRAINERS: tuple[TrainerSpec, ...] = (
    TrainerSpec(
        "stylegan2-ada",
        "stylegan",
        "stylegan2-ada-pytorch",
        train="python train.py --outdir=RUNS --data={out} --gpus=1 --aug=noaug "
        "--metrics=none{cond}",
        evaluate=_ADA_EVALUATE,
        conditional=" --cond=1",
        power_of_two=True,
        notes=(_FID, _ADA),
    ),
    TrainerSpec(
        "stylegan3",
        "stylegan",
        "stylegan3",
        train="python train.py --outdir=RUNS --cfg=stylegan3-t --data={out} --gpus=1 --batch=32 "
        "--gamma=8.2 --aug=noaug --metrics=none{cond}",
        evaluate=_ADA_EVALUATE,
        conditional=" --cond=1",
        power_of_two=True,
        notes=(_FID, _ADA, "gamma 8.2 is NVIDIA's for 512 px; smaller images want less."),
    ),
    TrainerSpec(
        "diffaugment-stylegan2",
        "stylegan",
        "DiffAugment-stylegan2-pytorch",
        train="python train.py --outdir=RUNS --data={out} --gpus=1 --metrics=none{cond}",
        evaluate=_ADA_EVALUATE,
        conditional=" --cond=1",
        power_of_two=True,
        notes=(_FID,),
    ),
    TrainerSpec(
        "projected-gan",
        "stylegan",
        "projected-gan",
        train="python train.py --outdir=RUNS --cfg=fastgan --data={out} --gpus=1 --batch=64 "
        "--metrics=none{cond}",
        evaluate=_ADA_EVALUATE,
        conditional=" --cond=1",
        rgb=True,
        power_of_two=True,
        notes=(
            _FID,
            "Its fastgan networks begin at 128 px: for smaller images pass --cfg=stylegan2.",
            "Of soft labels it takes the heaviest class.",
        ),
    ),
    TrainerSpec(
        "stylegan-xl",
        "stylegan",
        "stylegan-xl",
        train="python train.py --outdir=RUNS --cfg=stylegan3-t --data={out} --gpus=1 --batch=64 "
        "--metrics=none{cond}",
        evaluate=_ADA_EVALUATE,
        conditional=" --cond=1",
        rgb=True,
        power_of_two=True,
        notes=(
            _FID,
            "It grows by stages: each stage wants a corpus at its own resolution.",
            "Of soft labels it takes the heaviest class.",
        ),
    ),
    TrainerSpec(
        "edm",
        "stylegan",
        "edm (diffusion; the same reader)",
        train="torchrun --standalone --nproc_per_node=1 train.py --outdir=RUNS --data={out} "
        "--augment=0{cond}",
        evaluate="python fid.py ref --data={real} --dest=real.npz; "
        "python fid.py calc --images=SAMPLES --ref=real.npz",
        conditional=" --cond=1",
        power_of_two=True,
        notes=("--augment=0 switches its own augmentation off.",),
    ),
    TrainerSpec(
        "stargan-v2",
        "imagefolder",
        "StarGAN v2",
        train="python main.py --mode train --num_domains {classes} --w_hpf 0 "
        "--train_img_dir {out}/train --val_img_dir {out}/val --img_size {network}",
        evaluate="python main.py --mode eval --num_domains {classes} --w_hpf 0 --resume_iter 100000"
        " --train_img_dir {real}/train --val_img_dir {real}/val --img_size {network}",
        networks=(32, 64, 128, 256, 512, 1024),
        real_split="val",
        power_of_two=True,
        needs_classes=True,
        notes=(
            "Its FID reads --train_img_dir: in training that is the augmented set.",
            "val/ holds the corpus's real images, which train/ has too: put held-out images there "
            "where you have some.",
            _OWN,
        ),
    ),
    TrainerSpec(
        "studiogan",
        "hdf5",
        "PyTorch-StudioGAN",
        train="python src/main.py -t -hdf5 -l -metrics none -cfg CFG.yaml -data {out} -save RUNS",
        evaluate="python src/main.py -metrics fid -ref train -ckpt CKPT -cfg CFG.yaml -data {real} "
        "-save RUNS",
        real_to="imagefolder",
        axes="NHWC",
        file="{name}_{resolution}_wo_resize_train.hdf5",
        notes=(
            "CFG.yaml must say DATA: name: {name}, img_size: {resolution}, num_classes: {classes}, "
            "or the file is not found and made anew from a folder.",
            "wo_resize is its default --pre_resizer; with another one rename the file.",
        ),
    ),
    TrainerSpec(
        "studiogan",
        "imagefolder",
        "PyTorch-StudioGAN",
        train="python src/main.py -t -metrics none -cfg CFG.yaml -data {out} -save RUNS",
        evaluate="python src/main.py -metrics fid -ref valid -ckpt CKPT -cfg CFG.yaml -data {out} "
        "-save RUNS",
        real_split="valid",
        notes=("valid/ holds the corpus's real images: -ref valid compares with those.", _OWN),
    ),
    TrainerSpec(
        "biggan",
        "hdf5",
        "BigGAN-PyTorch",
        train=_BIGGAN_TRAIN.format(dataset="I{resolution}_hdf5"),
        evaluate=_MOMENTS_OF.format(dataset="I{resolution}_hdf5"),
        axes="NCHW",
        file="ILSVRC{resolution}.hdf5",
        resolutions=_BIGGAN,
        max_classes=1000,
        notes=(
            _FILLED,
            _MOMENTS,
            "It has 1,000 classes; labels 0 to {last_class} use the first of them.",
        ),
    ),
    TrainerSpec(
        "biggan",
        "imagefolder",
        "BigGAN-PyTorch",
        train=_BIGGAN_TRAIN.format(dataset="I{resolution}"),
        evaluate=_MOMENTS_OF.format(dataset="I{resolution}"),
        split="ImageNet",
        resolutions=_BIGGAN,
        max_classes=1000,
        notes=(_FILLED, _MOMENTS, _INDEX, _OWN),
    ),
    TrainerSpec(
        "lecam",
        "imagefolder",
        "LeCam-GAN (biggan_cifar)",
        train=_BIGGAN_TRAIN.format(dataset="I{resolution}"),
        evaluate=_CLEAN_FID,
        resolutions=_BIGGAN,
        max_classes=1000,
        notes=(_FILLED, _INDEX, _OWN),
    ),
    TrainerSpec(
        "lecam",
        "hdf5",
        "LeCam-GAN (biggan_cifar)",
        train=_BIGGAN_TRAIN.format(dataset="I{resolution}_hdf5"),
        evaluate=_CLEAN_FID,
        axes="NCHW",
        file="ILSVRC{resolution}.hdf5",
        resolutions=_BIGGAN,
        max_classes=1000,
    ),
    TrainerSpec(
        "diffaugment-biggan",
        "imagefolder",
        "DiffAugment-biggan-cifar",
        train=_BIGGAN_TRAIN.format(dataset="I{resolution}") + " --DiffAugment translation,cutout",
        evaluate=_CLEAN_FID,
        resolutions=_BIGGAN,
        max_classes=1000,
        notes=(_FILLED, _INDEX, _OWN),
    ),
    TrainerSpec(
        "cut",
        "unpaired",
        "CUT",
        train="python train.py --dataroot {out} --name {name} --CUT_mode CUT "
        "--load_size {network} --crop_size {network}",
        evaluate="python test.py --dataroot {out} --name {name} --CUT_mode CUT --phase train "
        "--load_size {network} --crop_size {network}",
        networks=_CUT,
        needs_classes=True,
        notes=(
            "testA/ and testB/ are not written: held-out images are not in the shards. Put yours "
            "there, or translate the training images with --phase train.",
            "A and B are not paired by the loader.",
            _OWN,
        ),
    ),
    TrainerSpec(
        "fastcut",
        "unpaired",
        "FastCUT",
        train="python train.py --dataroot {out} --name {name} --CUT_mode FastCUT "
        "--load_size {network} --crop_size {network}",
        evaluate="python test.py --dataroot {out} --name {name} --CUT_mode FastCUT --phase train "
        "--load_size {network} --crop_size {network}",
        networks=_CUT,
        needs_classes=True,
        notes=("testA/ and testB/ are not written: held-out images are not in the shards.", _OWN),
    ),
    TrainerSpec(
        "sincut",
        "unpaired",
        "SinCUT",
        train="python train.py --model sincut --dataroot {out} --name {name} "
        "--dataset_mode unaligned --preprocess none --batch_size 16 "
        "--load_size {resolution} --crop_size {resolution}",
        evaluate="python test.py --model sincut --dataroot {out} --name {name} --phase train "
        "--dataset_mode unaligned --preprocess none "
        "--load_size {resolution} --crop_size {resolution}",
        power_of_two=True,
        needs_classes=True,
        notes=(
            "Its default --dataset_mode singleimage takes exactly one image a side; this export "
            "has {count}, so the command names another.",
            _OWN,
        ),
    ),
    TrainerSpec(
        "dcgan",
        "imagefolder",
        "pytorch/examples DCGAN",
        train="python main.py --dataset folder --dataroot {out}/train --imageSize {network}",
        evaluate=_CLEAN_FID,
        networks=(64,),
        notes=("Its networks are made for 64 px: it scales other images.", _OWN),
    ),
    TrainerSpec(
        "stylegan2-pytorch",
        "imagefolder",
        "lucidrains/stylegan2-pytorch",
        train="stylegan2_pytorch --data {out} --image-size {resolution}",
        evaluate=_CLEAN_FID,
        power_of_two=True,
        notes=("Its --calculate-fid-every compares with the augmented set.", _OWN),
    ),
    TrainerSpec(
        "lightweight-gan",
        "imagefolder",
        "lucidrains/lightweight-gan",
        train="lightweight_gan --data {out} --image-size {resolution}",
        evaluate=_CLEAN_FID,
        power_of_two=True,
        notes=("Its --calculate-fid-every compares with the augmented set.", _OWN),
    ),
    TrainerSpec(
        "fastgan",
        "imagefolder",
        "FastGAN-pytorch",
        train="python train.py --path {out} --im_size {network}",
        evaluate=_CLEAN_FID,
        flat=True,
        networks=(256, 512, 1024),
        notes=(
            "It lists one folder and no sub-folder: classes are not kept.",
            "It has networks for 256, 512 and 1024 px, and scales other images.",
            _OWN,
        ),
    ),
    TrainerSpec(
        "fastgan",
        "lmdb",
        "FastGAN-pytorch",
        train="python train.py --path {out} --im_size {network}",
        evaluate=_CLEAN_FID,
        networks=(256, 512, 1024),
        rgb=True,
        resolutions=(1024,),
        notes=("It reads an LMDB only if its path has `lmdb` in it.",),
    ),
    TrainerSpec(
        "rosinality",
        "lmdb",
        "rosinality/stylegan2-pytorch",
        train="python train.py --size {resolution} --batch 16 {out}",
        evaluate="python calc_inception.py --size {resolution} {real}"
        "; python fid.py --inception inception_{real_name}.pkl CHECKPOINT.pt",
        rgb=True,
        power_of_two=True,
        notes=("It has no labels.",),
    ),
)

# What a target asks for where no trainer is named.
PLAIN: dict[str, TrainerSpec] = {
    "stylegan": TrainerSpec("", "stylegan", "any reader of this layout", power_of_two=True),
    "imagefolder": TrainerSpec("", "imagefolder", "any reader of this layout"),
    "unpaired": TrainerSpec("", "unpaired", "any reader of this layout", needs_classes=True),
    "lmdb": TrainerSpec("", "lmdb", "any reader of this layout", rgb=True),
}
