"""Which trainer reads what: one literal table, a row for each trainer and target.

The first row of a trainer is its default. What a trainer needs was read in its source, and mostly
run; where the source leaves it open a row asks for nothing. `export`, `mount` and `check` read this
table; docs/trainers.md and docs/check.md are made from it.

Placeholders in commands and notes: {out} the export, {real} an export of the real images alone and
{real_name} its name, {samples} a folder beside them, {name} of the run and the arm, {resolution}
the side in pixels, {network} the side of the network that fits it, {configuration} the option for
networks of that side, {classes}, {last_class}, {count} of images, {sources} images of the first
class, {val_batch} up to 32 images that each class has, {batch} the largest batch up to the usual
one that can be formed, {gamma}; {drawn} samples in {tens} batches of ten, of seeds up to
{last_seed}, and {draws} CLASS:SEEDS; {cond} is the row's `conditional` where the export has labels
of two or more classes, {labelled} 1 there, 0 elsewhere; {weights} `ema` where the training is long
enough for averaged weights, `default` elsewhere, {weights_files} their samples.
Lengths are those of training_length.py. The placeholders of `preset` are in presets.py.
In `file` and `file_pattern`: {name}, {resolution}. In `remember`: {resolution}, {network}, {batch},
{configuration}, {classes}, {parent} the folder that holds the corpus.
"""

from dataclasses import replace

from . import biggan_family, later_trainers, other_presets, stylegan_family
from .image_endings import CUT, LUCIDRAINS, TORCHVISION
from .shared_texts import CLEAN_FID, CONVERTS, SAVE_IMAGES, SHARED_FOLDERS
from .spec import Target, TrainerSpec, TrainLength

_OWN_FID = "Its --calculate-fid-every compares with the augmented set."
_NO_TEST = "testA/ and testB/ are written with --held-out, from the images that the run held out."
_TRANSLATED = "{samples}/{name}/train_latest/images/fake_B"
_FASTGAN_SIDES = (256, 512, 1024)
_FASTGAN_TRAIN = (
    "python train.py --path {out} --im_size {network} --iter {iterations} --name {name}"
)
_FASTGAN_LENGTH = TrainLength("iterations", 50_000, update=8)
_FASTGAN_WEIGHTS = (
    "Its eval.py does not find the weights that its train.py writes; the command loads these."
)
_FASTGAN_SAMPLE = (
    'python -c "import os, sys, torch; from torchvision.utils import save_image; '
    "from models import Generator; words = sys.argv[1:]; "
    "generator = Generator(ngf=64, nz=256, im_size={network}).cuda(); "
    "generator.load_state_dict(torch.load(words[1])['g']); torch.set_grad_enabled(False); "
    + SAVE_IMAGES.replace("{images}", "generator(torch.randn(10, 256).cuda())[0]")
    + '" {samples} train_results/{name}/models/{iterations}.pth'
)
_DCGAN_SAMPLE = (
    'python -c "import os, runpy, sys, torch; from torchvision.utils import save_image; '
    "words = [sys.argv.pop(1)]; trained = runpy.run_path('main.py', run_name='__main__'); "
    "torch.set_grad_enabled(False); generator = trained['netG']; "
    + SAVE_IMAGES.replace(
        "{images}", "generator(torch.randn(10, 100, 1, 1, device=trained['device']))"
    )
    + '" {samples} --dataset folder --dataroot {out}/train --imageSize {network} --niter 0 '
    "--netG RUNS/{name}/netG_epoch_{last_epoch}.pth --outf RUNS/{name}"
)
_STARGAN_EVALUATION = (
    "python main.py --mode eval --num_domains {{classes}} --w_hpf 0 --resume_iter {{iterations}}"
    " --train_img_dir {0}/train --val_img_dir {0}/val --img_size {{network}}"
    " --checkpoint_dir expr/{{name}} --val_batch_size {{val_batch}}"
)

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
    "parquet": TrainerSpec(
        "",
        "parquet",
        "Hugging Face's datasets",
        notes=(
            'In Python: datasets.load_dataset("parquet", data_files="{out}/train-*.parquet",'
            ' split="train").',
        ),
    ),
}

_CUT = replace(
    PLAIN["unpaired"],
    networks=(32, 64, 128, 256, 512, 1024),  # below, its discriminator runs out of pixels
    full_batches=1,
    train="python train.py --dataroot {out} --name {name} --CUT_mode CUT "
    "--load_size {network} --crop_size {network} "
    "--n_epochs {first_half} --n_epochs_decay {second_half} --save_epoch_freq {save_epochs}",
    length=TrainLength("epochs", 400),
    sample="python test.py --dataroot {out} --name {name} --CUT_mode CUT --phase train "
    "--load_size {network} --crop_size {network} --num_test {sources} --results_dir {samples}",
    samples=_TRANSLATED,
    evaluate=CLEAN_FID.replace("{samples}", _TRANSLATED).replace("{real}", "{real}/trainB"),
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
        "It averages its weights after 20,000 updates; of a shorter training the last are sampled.",
        CONVERTS,
    ),
    averaged_after=20_000,
    remember=("--image-size {network}",),
)

_TRANSLATION: tuple[TrainerSpec, ...] = (
    replace(
        _CUT,
        trainer="cut",
        title="CUT",
        notes=(
            f"{_NO_TEST} --phase test translates those.",
            "A and B are not paired by the loader.",
            CONVERTS,
        ),
        preset=other_presets.CUT,
    ),
    replace(
        _CUT,
        trainer="fastcut",
        title="FastCUT",
        train=_CUT.train.replace("CUT_mode CUT", "CUT_mode FastCUT")
        .replace("{first_half}", "{first_part}")
        .replace("{second_half}", "{last_part}"),
        length=TrainLength("epochs", 200),
        sample=_CUT.sample.replace("CUT_mode CUT", "CUT_mode FastCUT"),
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
        "--dataset_mode unaligned --preprocess none --batch_size {batch} "
        "--load_size {resolution} --crop_size {resolution} "
        "--n_epochs {first_half} --n_epochs_decay {second_half} --save_epoch_freq {save_epochs}",
        batch=16,
        full_batches=1,
        length=TrainLength("epochs", 400),
        sample="python test.py --model sincut --dataroot {out} --name {name} --phase train "
        "--dataset_mode unaligned --preprocess none --load_size {resolution} "
        "--crop_size {resolution} --num_test {sources} --results_dir {samples}",
        samples=_TRANSLATED,
        evaluate=_CUT.evaluate,
        single_image=(
            "python train.py --model sincut --dataroot {out} --name {name}",
            "python test.py --model sincut --dataroot {out} --name {name} --phase train "
            "--results_dir {samples}",
        ),
        preset=other_presets.SINCUT,
        remember=(
            "--batch_size {batch} --load_size {resolution} --crop_size {resolution} with "
            "--dataset_mode unaligned --preprocess none",
        ),
        notes=(
            _NO_TEST,
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
        least_images=8,  # its loader drops the last batch that is not full
        batch=8,
        full_batches=1,
        needs_classes=True,
        real_split="val",
        lists_files=True,
        train="python main.py --mode train --num_domains {classes} --w_hpf 0 "
        "--train_img_dir {out}/train --val_img_dir {out}/val --img_size {network} "
        "--total_iters {iterations} --ds_iter {iterations} --save_every {save_every} "
        "--checkpoint_dir expr/{name} --sample_dir expr/{name}/samples",
        length=TrainLength("iterations", 100_000, update=8),
        sample=_STARGAN_EVALUATION.format("{out}") + " --eval_dir {samples}",
        evaluate=_STARGAN_EVALUATION.format("{real}"),
        notes=(
            "Its FID reads --train_img_dir: in training that is the augmented set.",
            "val/ holds the corpus's real images, which train/ has too; with --held-out it holds "
            "the images that the run held out.",
            "Each folder of samples is a pair of classes: it is compared with its target class.",
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
        train="python main.py --dataset folder --dataroot {out}/train --imageSize {network} "
        "--niter {epochs} --outf RUNS/{name}",
        length=TrainLength("epochs", 25),
        sample=_DCGAN_SAMPLE,
        evaluate=CLEAN_FID,
        notes=(
            "Its networks are made for 64 px: it scales other images.",
            "It has no script that draws samples: the command runs main.py for no epoch, and draws "
            "from the generator that this loads.",
            CONVERTS,
        ),
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
        batch=5,
        full_batches=1,
        train="stylegan2_pytorch --data {out} --image-size {network} --name {name} "
        "--batch-size {batch} --num-train-steps {iterations}",
        length=TrainLength("iterations", 150_000, update=30),
        sample="stylegan2_pytorch --name {name} --image-size {network} --results-dir {samples} "
        "--generate --num-generate {drawn} --num-image-tiles 1; "
        "mkdir {samples}/{weights}; mv {samples}/{name}/{weights_files} {samples}/{weights}",
        samples="{samples}/{weights}",
    ),
    replace(
        _LUCIDRAINS,
        trainer="lightweight-gan",
        title="lucidrains/lightweight-gan",
        networks=(32, 64, 128, 256, 512, 1024, 2048),  # its discriminator halves twice to 8 px
        batch=10,
        full_batches=1,
        train="lightweight_gan --data {out} --image-size {network} --name {name} "
        "--batch-size {batch} --num-train-steps {iterations}",
        length=TrainLength("iterations", 150_000, update=40),
        sample="lightweight_gan --name {name} --image-size {network} --results-dir {samples} "
        "--generate --generate-types [{weights}] --num-image-tiles {drawn}",
    ),
    TrainerSpec(
        "fastgan",
        "imagefolder",
        "FastGAN-pytorch",
        networks=_FASTGAN_SIDES,
        endings=(".jpg", ".png", ".jpeg"),
        flat=True,
        train=_FASTGAN_TRAIN,
        length=_FASTGAN_LENGTH,
        sample=_FASTGAN_SAMPLE,
        evaluate=CLEAN_FID,
        notes=(
            "It lists one folder and no sub-folder: classes are not kept.",
            "It has networks for 256, 512 and 1024 px, and scales other images.",
            _FASTGAN_WEIGHTS,
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
        train=_FASTGAN_TRAIN,
        length=_FASTGAN_LENGTH,
        sample=_FASTGAN_SAMPLE,
        evaluate=CLEAN_FID,
        real_to="imagefolder",
        notes=("It reads an LMDB only if its path has `lmdb` in it.", _FASTGAN_WEIGHTS),
        remember=("--im_size {network}",),
    ),
    replace(
        PLAIN["lmdb"],
        trainer="rosinality",
        title="rosinality/stylegan2-pytorch",
        power_of_two=True,
        usual_power_of_two=False,
        batch=16,
        full_batches=1,
        train="python train.py --size {resolution} --batch {batch} --iter {one_more} {out}",
        length=TrainLength("iterations", 800_000, update=16, kept_every=10_000),
        sample="python generate.py --size {resolution} --sample 1 --pics {drawn} "
        "--ckpt checkpoint/{last_checkpoint}.pt; mv sample {samples}",
        evaluate="python calc_inception.py --size {resolution} {real}; python fid.py "
        "--size {resolution} --inception inception_{real_name}.pkl checkpoint/{last_checkpoint}.pt",
        notes=(
            "It has no labels.",
            "It keeps a checkpoint every 10,000 updates, and none else: the length is a multiple.",
            SHARED_FOLDERS.format(folders="checkpoint/ and sample/"),
        ),
        remember=("--size {resolution}",),
    ),
    *later_trainers.LATER_TRAINERS,
)
