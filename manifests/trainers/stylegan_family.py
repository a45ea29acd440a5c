"""Rows of the table of trainers: those with StyleGAN's reader of a folder or zip, edm among them.

The reader takes pixels as they are: every image square, of one size, in mode RGB or L.
"""

from dataclasses import replace

from .spec import TrainerSpec, TrainLength, TrialPreset

_COND = "labels are there: pass --cond=1, or they are ignored"
FID = "Training-time FID compares with the augmented set, so it is switched off (--metrics=none)."
_ADA = (
    "Compare with --aug=ada too: adaptive augmentation on top of an augmented corpus is untested."
)
_ARGMAX = "Of soft labels it takes the heaviest class."

PLAIN = TrainerSpec(
    "",
    "stylegan",
    "any reader of this layout",
    modes=("RGB", "L"),
    exact=True,
    power_of_two=True,
    least_side=4,
    remember=(_COND,),
)
DRAW = "python {script} --network=NETWORK.pkl --seeds=0-{{last_seed}} --outdir={{samples}}"
DRAW_CLASSES = (
    "for draw in {{draws}}; do python {script} --network=NETWORK.pkl --seeds=${{{{draw#*:}}}} "
    "--class=${{{{draw%%:*}}}} --outdir={{samples}}/${{{{draw%%:*}}}}; done"
)


def kimg(amount: int) -> TrainLength:
    """A length in thousands of images."""
    return TrainLength("images", amount * 1000, update=1000)


READER = replace(
    PLAIN,
    conditional=" --cond=1",
    length=kimg(25_000),
    sample=DRAW.format(script="gen_images.py"),
    sample_classes=DRAW_CLASSES.format(script="gen_images.py"),
    evaluate="python calc_metrics.py --metrics=fid50k_full --data={real} --network=NETWORK.pkl "
    "--gpus=1",
    draws_labels_of_data=True,
)

# The trainers leave a snapshot of the first update too (000000), which is not sampled. Their
# generators want a class in each call where they are conditional: {draws} are CLASS:SEEDS.
_SAMPLES = """
for network in {{out}}/training/*/network-snapshot-*.pkl; do
  kimg=${{{{network##*-}}}} kimg=$((10#${{{{kimg%.pkl}}}}))
  [ $kimg -gt 0 ] || continue
  for draw in {{draws}}; do
    {{python}} {{checkout}}/{generator} --network="$network" \\
      --seeds=${{{{draw#*:}}}}{{class_option}} \\
      --outdir={{out}}/samples/$((kimg * 1000))/${{{{draw%%:*}}}}
  done
done"""
_TRAIN = """set -e
export CUDA_VISIBLE_DEVICES={gpu}
{python} {checkout}/train.py --outdir={out}/training --data={data} --gpus=1 --metrics=none \\
  --seed={seed} --kimg={kimg}{cond}"""
_PROPORTIONS = "Classes are drawn in the proportions of the training images."


def _preset(options: str, generator: str, note: str) -> TrialPreset:
    """Training with these options beside those that all share, then samples."""
    command = f"{_TRAIN} {options}".rstrip() + _SAMPLES.format(generator=generator)
    scripts = ("train.py", generator)
    return TrialPreset(scripts, command, "kimg", note=f"{note} {_PROPORTIONS}")


STYLEGAN_FAMILY: tuple[TrainerSpec, ...] = (
    replace(
        READER,
        trainer="stylegan2-ada",
        title="stylegan2-ada-pytorch",
        train="python train.py --outdir=RUNS --data={out} --gpus=1 --aug=noaug "
        "--metrics=none --kimg={kimg}{cond}",
        sample=DRAW.format(script="generate.py"),
        sample_classes=DRAW_CLASSES.format(script="generate.py"),
        notes=(FID, _ADA),
        preset=_preset(
            "--snap={ticks} --aug=noaug",
            "generate.py",
            "A snapshot is a whole number of ticks of 4,000 images; no adaptive augmentation.",
        ),
    ),
    replace(
        READER,
        trainer="stylegan3",
        title="stylegan3",
        train="python train.py --outdir=RUNS --cfg=stylegan3-t --data={out} --gpus=1 --batch=32 "
        "--gamma={gamma} --aug=noaug --metrics=none --kimg={kimg}{cond}",
        notes=(FID, _ADA, "gamma is NVIDIA's 8.2 for 512 px, in proportion to the pixels."),
        preset=_preset(
            "--snap={ticks} --aug=noaug --cfg=stylegan3-t --batch=32 --gamma={gamma}",
            "gen_images.py",
            "A snapshot is a whole number of ticks of 4,000 images; no adaptive augmentation;"
            " gamma is 0.0002 SIDE^2 / 32, stylegan2-ada's rule.",
        ),
    ),
    replace(
        READER,
        trainer="diffaugment-stylegan2",
        title="DiffAugment-stylegan2-pytorch",
        train="python train.py --outdir=RUNS --data={out} --gpus=1 --metrics=none "
        "--kimg={kimg}{cond}",
        length=kimg(300),
        sample=DRAW.format(script="generate.py"),
        sample_classes=DRAW_CLASSES.format(script="generate.py"),
        notes=(FID,),
        preset=_preset(
            "",
            "generate.py",
            "Its default configuration, low_shot, fixes a snapshot at 40,000 images.",
        ),
    ),
    replace(
        READER,
        trainer="projected-gan",
        title="projected-gan",
        modes=("RGB",),  # its feature network has three input channels
        # Its fastgan networks take features of sides that smaller ones do not have.
        configurations=((4, "--cfg=stylegan2"), (128, "--cfg=fastgan")),
        train="python train.py --outdir=RUNS {configuration} --data={out} --gpus=1 --batch=64 "
        "--metrics=none --kimg={kimg}{cond}",
        notes=(
            FID,
            "Its fastgan networks begin at 128 px: for smaller images it is --cfg=stylegan2.",
            _ARGMAX,
        ),
        remember=(_COND, "{configuration}"),
    ),
    replace(
        READER,
        trainer="stylegan-xl",
        title="stylegan-xl",
        modes=("RGB",),
        train="python train.py --outdir=RUNS --cfg=stylegan3-t --data={out} --gpus=1 --batch=64 "
        "--metrics=none --kimg={kimg}{cond}",
        notes=(
            FID,
            "It grows by stages: each stage wants a corpus at its own resolution.",
            _ARGMAX,
        ),
    ),
    replace(
        READER,
        trainer="edm",
        title="edm (diffusion; the same reader)",
        # Its default U-Net (--arch=ddpmpp) halves the side twice; --arch=adm does so three times.
        power_of_two=False,
        usual_power_of_two=True,
        multiple_of=4,
        train="torchrun --standalone --nproc_per_node=1 train.py --outdir=RUNS --data={out} "
        "--augment=0 --duration={mimg}{cond}",
        length=kimg(200_000),
        sample=DRAW.format(script="generate.py"),  # of random classes
        sample_classes="",
        evaluate="python fid.py ref --data={real} --dest=real.npz; "
        "python fid.py calc --images={samples} --ref=real.npz --num={drawn}",
        draws_labels_of_data=False,
        notes=("--augment=0 switches its own augmentation off.",),
    ),
)
