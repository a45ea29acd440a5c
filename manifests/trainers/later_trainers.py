"""Rows of trainers of 2021 and later: R3GAN, StyleGAN-T, edm2, StyleSwin, GigaGAN, diffusers.

The first three have StyleGAN's reader of a folder or zip, StyleSwin has rosinality's of an LMDB.
"""

from .image_endings import TORCHVISION
from .shared_texts import CLEAN_FID, CONVERTS, SAVE_IMAGES
from .spec import TrainerSpec, TrainLength
from .stylegan_family import DRAW, DRAW_CLASSES, FID, READER, kimg

_STYLESWIN = "--size {resolution} {configuration} --batch {batch}"
_GIGAGAN = (
    "from gigagan_pytorch import GigaGAN, ImageDataset; sizes = dict(dim_max=512, "
    "image_size={network}, num_skip_layers_excite=4, unconditional=True); "
    "gan = GigaGAN(generator=dict(dim_capacity=8, style_network=dict(dim=64, depth=4), **sizes), "
    "discriminator=dict(dim_capacity=16, **sizes), amp=True, "
    "model_folder='RUNS/{name}', results_folder='RUNS/{name}').cuda(); "
)
_DIFFUSERS_TRAIN = (
    "accelerate launch train_unconditional.py {source} --resolution {{network}} --center_crop "
    "--train_batch_size 16 --num_epochs {{epochs}} --output_dir RUNS/{{name}}"
)
_DIFFUSERS_SAMPLE = (
    'python -c "import os, sys; from diffusers import DDPMPipeline; words = sys.argv[1:]; '
    "pipeline = DDPMPipeline.from_pretrained(words[1]).to('cuda'); os.makedirs(words[0]); "
    "[image.save(os.path.join(words[0], str(10 * batch + place) + '.png')) "
    "for batch in range({tens}) for place, image in enumerate(pipeline(batch_size=10).images)]"
    '" {samples} RUNS/{name}'
)
_DIFFUSERS_SIDES = (32, 64, 128, 256, 512, 1024)  # its U-Net halves them five times

LATER_TRAINERS: tuple[TrainerSpec, ...] = (
    TrainerSpec(
        "r3gan",
        "stylegan",
        "R3GAN",
        modes=("RGB",),
        exact=True,
        sides=(32, 64, 256),  # of its presets
        configurations=(
            (32, "--preset=CIFAR10"),
            (64, "--preset=FFHQ-64"),
            (256, "--preset=FFHQ-256"),
        ),
        # Its FFHQ presets have no embedding of classes.
        class_configurations=(
            (32, "--preset=CIFAR10 --cond=1"),
            (64, "--preset=ImageNet-64 --cond=1"),
            (256, "--preset=FFHQ-256"),
        ),
        train="python train.py --outdir=RUNS {configuration} --data={out} --gpus=1 --batch=256 "
        "--g-batch-gpu=32 --d-batch-gpu=32 --aug=0 --metrics=none --kimg={kimg} --tick=4 --snap=50",
        length=kimg(25_000),
        sample=DRAW.format(script="gen_images.py"),
        sample_classes=DRAW_CLASSES.format(script="gen_images.py"),
        evaluate=READER.evaluate,
        draws_labels_of_data=True,
        notes=(
            FID,
            "--aug=0 switches its own augmentation off, which its presets are meant for: compare "
            "with --aug=1 too.",
            "Its preset for 256 px knows no classes.",
        ),
        remember=("{configuration}",),
    ),
    TrainerSpec(
        "stylegan-t",
        "stylegan",
        "StyleGAN-T",
        modes=("RGB",),
        exact=True,
        power_of_two=True,
        least_side=8,
        text_labels=True,
        train="python -m torch.distributed.run --standalone --nproc_per_node 1 train.py "
        "--outdir RUNS --cfg lite --data {out} --img-resolution {resolution} --batch 128 "
        "--batch-gpu 8 --kimg {kimg}",
        length=kimg(25_000),
        sample="python gen_images.py --network NETWORK.pkl --seeds 0-{last_seed} "
        "--outdir {samples}",
        sample_classes="for draw in {draws}; do python gen_images.py --network NETWORK.pkl "
        "--prompt CAPTION --seeds ${{draw#*:}} --outdir {samples}/${{draw%%:*}}; done",
        evaluate="python calc_metrics.py --metrics=fid50k_full --data={real} --network=NETWORK.pkl",
        notes=(
            "It learns from captions: dataset.json has the class names as such, and CAPTION in the "
            "command is the name of each class. Without classes it learns from no text.",
            "It reads WebDataset too, as PART/NNNN.tar with a .txt caption for each image; ours "
            "have none, and it would skip every sample.",
        ),
        remember=("--img-resolution {resolution}",),
    ),
    TrainerSpec(
        "edm2",
        "stylegan",
        "edm2 (diffusion; the same reader)",
        modes=("RGB",),
        exact=True,
        usual_power_of_two=True,
        multiple_of=8,  # its U-Net halves the side three times
        least_side=8,
        train="torchrun --standalone --nproc_per_node=1 train_edm2.py --outdir=RUNS/{name} "
        "--data={out} --cond={labelled} --preset=edm2-img64-s --batch=2048 --batch-gpu=32 "
        "--duration={images} --snapshot={eighth} --checkpoint={images} --status={eighth}",
        length=TrainLength("images", 1 << 30, update=8 * 2048),  # eight snapshots of whole batches
        sample="python generate_images.py --net=NETWORK.pkl --seeds=0-{last_seed} "
        "--outdir={samples}",
        evaluate="python calculate_metrics.py ref --data={real} --dest=real.pkl; "
        "python calculate_metrics.py calc --images={samples} --ref=real.pkl --num={drawn}",
        notes=(
            "Its presets of 512 px learn latents, not pixels; this one learns pixels.",
            "The same command again resumes the training in --outdir.",
        ),
        remember=("--preset=edm2-img64-s, and --cond=0 where there are no labels",),
    ),
    TrainerSpec(
        "styleswin",
        "lmdb",
        "StyleSwin",
        modes=("RGB",),
        exact=True,
        power_of_two=True,
        least_side=8,
        configurations=((8, "--G_channel_multiplier 2"), (512, "--G_channel_multiplier 1")),
        batch=4,
        full_batches=1,
        train="mkdir -p RUNS/{name}; WORLD_SIZE=1 python train_styleswin.py --lmdb --path {out} "
        f"{_STYLESWIN} --iter {{one_more}} --D_lr 0.0002 --D_sn --ttur "
        "--save_freq {save_every} --eval_freq 1000000000 --checkpoint_path RUNS/{name} "
        "--sample_path RUNS/{name}",
        length=TrainLength("iterations", 800_000, update=4),
        sample="mkdir -p {samples}; WORLD_SIZE=1 python train_styleswin.py --eval "
        f"{_STYLESWIN} --ckpt RUNS/{{name}}/{{last_checkpoint}}.pt --val_num_batches {{tens}} "
        "--val_batch_size 10 --sample_path {samples} --eval_gt_path {real}",
        samples="{samples}/samples/eval_0",
        evaluate=CLEAN_FID.replace("{samples}", "{samples}/samples/eval_0"),
        real_to="imagefolder",
        notes=(
            "It has no labels.",
            "Sampling ends with a FID of its own, which finds no image in folders of classes and "
            "then fails: the samples are written before.",
        ),
        remember=("--lmdb --size {resolution}",),
    ),
    TrainerSpec(
        "gigagan",
        "imagefolder",
        "lucidrains/gigagan-pytorch",
        any_depth=True,
        endings=(".jpg", ".jpeg", ".png", ".tiff"),
        modes=("RGB",),  # it stacks what it reads, and its networks have three channels
        networks=(32, 64, 128, 256, 512, 1024),
        least_images=101,
        batch=8,
        full_batches=1,
        train=f'python -c "import sys; {_GIGAGAN}gan.set_dataloader('
        "ImageDataset(sys.argv[1], {network}).get_dataloader(batch_size={batch})); "
        "gan(steps={iterations}, grad_accum_every=4); gan.save('RUNS/{name}/last.ckpt')"
        '" {out}',
        length=TrainLength("iterations", 100_000, update=32),
        sample='python -c "import os, sys, torch; from torchvision.utils import save_image; '
        f"words = sys.argv[1:]; {_GIGAGAN}gan.load('RUNS/{{name}}/last.ckpt'); "
        + SAVE_IMAGES.replace("{images}", "gan.generate(batch_size=10)").replace(
            "normalize=True, value_range=(-1, 1)", "normalize=True, value_range=(0, 1)"
        )
        + '" {samples}',
        evaluate=CLEAN_FID,
        notes=(
            "It is a library without a command: these are the sizes of its own example. It has no"
            " default length.",
            "Classes are not kept: it learns from captions or from none.",
        ),
    ),
    TrainerSpec(
        "diffusers",
        "imagefolder",
        "diffusers train_unconditional.py",
        networks=_DIFFUSERS_SIDES,
        endings=TORCHVISION,
        any_case=True,
        batch=16,
        train=_DIFFUSERS_TRAIN.format(source="--train_data_dir {out}"),
        length=TrainLength("epochs", 100),
        sample=_DIFFUSERS_SAMPLE,
        evaluate=CLEAN_FID,
        notes=("It has no labels.", CONVERTS),
        remember=("--resolution {network}",),
    ),
)
