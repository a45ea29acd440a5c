"""Rows of the table of trainers: those with StyleGAN's reader of a folder or zip, edm among them.

The reader takes pixels as they are: every image square, of one size, in mode RGB or L.
"""

from dataclasses import replace

from .spec import TrainerSpec, TrialPreset

_COND = "labels are there: pass --cond=1, or they are ignored"
_FID = "Training-time FID compares with the augmented set, so it is switched off (--metrics=none)."
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
_READER = replace(
    PLAIN,
    conditional=" --cond=1",
    evaluate="python calc_metrics.py --metrics=fid50k_full --data={real} --network=NETWORK.pkl "
    "--gpus=1",
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
        _READER,
        trainer="stylegan2-ada",
        title="stylegan2-ada-pytorch",
        train="python train.py --outdir=RUNS --data={out} --gpus=1 --aug=noaug "
        "--metrics=none{cond}",
        notes=(_FID, _ADA),
        preset=_preset(
            "--snap={ticks} --aug=noaug",
            "generate.py",
            "A snapshot is a whole number of ticks of 4,000 images; no adaptive augmentation.",
        ),
    ),
    replace(
        _READER,
        trainer="stylegan3",
        title="stylegan3",
        train="python train.py --outdir=RUNS --cfg=stylegan3-t --data={out} --gpus=1 --batch=32 "
        "--gamma=8.2 --aug=noaug --metrics=none{cond}",
        notes=(_FID, _ADA, "gamma 8.2 is NVIDIA's for 512 px; smaller images want less."),
        preset=_preset(
            "--snap={ticks} --aug=noaug --cfg=stylegan3-t --batch=32 --gamma={gamma}",
            "gen_images.py",
            "A snapshot is a whole number of ticks of 4,000 images; no adaptive augmentation;"
            " gamma is 0.0002 SIDE^2 / 32, stylegan2-ada's rule.",
        ),
    ),
    replace(
        _READER,
        trainer="diffaugment-stylegan2",
        title="DiffAugment-stylegan2-pytorch",
        train="python train.py --outdir=RUNS --data={out} --gpus=1 --metrics=none{cond}",
        notes=(_FID,),
        preset=_preset(
            "",
            "generate.py",
            "Its default configuration, low_shot, fixes a snapshot at 40,000 images.",
        ),
    ),
    replace(
        _READER,
        trainer="projected-gan",
        title="projected-gan",
        modes=("RGB",),  # its feature network has three input channels
        usual_sides=(128, 256, 512, 1024),
        train="python train.py --outdir=RUNS --cfg=fastgan --data={out} --gpus=1 --batch=64 "
        "--metrics=none{cond}",
        notes=(
            _FID,
            "Its fastgan networks begin at 128 px: for smaller images pass --cfg=stylegan2.",
            _ARGMAX,
        ),
    ),
    replace(
        _READER,
        trainer="stylegan-xl",
        title="stylegan-xl",
        modes=("RGB",),
        train="python train.py --outdir=RUNS --cfg=stylegan3-t --data={out} --gpus=1 --batch=64 "
        "--metrics=none{cond}",
        notes=(
            _FID,
            "It grows by stages: each stage wants a corpus at its own resolution.",
            _ARGMAX,
        ),
    ),
    replace(
        _READER,
        trainer="edm",
        title="edm (diffusion; the same reader)",
        # Its default U-Net (--arch=ddpmpp) halves the side twice; --arch=adm does so three times.
        power_of_two=False,
        usual_power_of_two=True,
        multiple_of=4,
        train="torchrun --standalone --nproc_per_node=1 train.py --outdir=RUNS --data={out} "
        "--augment=0{cond}",
        evaluate="python fid.py ref --data={real} --dest=real.npz; "
        "python fid.py calc --images=SAMPLES --ref=real.npz",
        notes=("--augment=0 switches its own augmentation off.",),
    ),
)
