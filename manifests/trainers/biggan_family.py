"""Rows of the table of trainers: BigGAN-PyTorch and what was made of it, and PyTorch-StudioGAN.

All are class-conditional, and read class folders or one HDF5 file.
"""

from dataclasses import replace

from .image_endings import BIGGAN, TORCHVISION
from .shared_texts import CLEAN_FID, CONVERTS
from .spec import TrainerSpec, TrainLength, TrialPreset

_SIDES = (32, 64, 128, 256)
_INDEX = "It caches I{network}_imgs.npz in its working directory: delete that after a new export."
_MOMENTS = "It wants the moments file before training; take it from the real images."
_BATCH = (
    "It drops batches that are not full, and loads two at once: {batch} is the largest of use here."
)
_CLASSES = (
    "Its table has 1,000 classes for every set, and it would train and sample them all: the "
    "commands set the number of the corpus's, {classes}."
)
_REMEMBER_CLASSES = (
    "nclass_dict in its utils.py has 1,000 classes for every set, and it trains and samples all: "
    "set {classes} there, as the command of `export` does"
)
_TESTS = "It tests after the last update alone, which it keeps too."
_PYTHON = (  # with the corpus's number of classes
    'python -c "import runpy, sys; {utils}; '
    "utils.nclass_dict = dict.fromkeys(utils.nclass_dict, {{classes}}); "
    "del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')\" "
)
_BIGGAN_PYTHON = _PYTHON.format(utils="import utils")
_LECAM_PYTHON = _PYTHON.format(utils="sys.path.append('..'); from third_party import utils")
_TRAIN = (
    "train.py --dataset {dataset} --data_root {{out}} --shuffle --load_in_mem "
    "--batch_size {{batch}} --num_epochs {{epochs}} --experiment_name {{name}}"
)
_LECAM = " --LC 0.3"  # of its scripts; its regularisation is off by default
_SAVES = " --save_every {save_every} --test_every {iterations}"
_SAMPLE = (  # torch 2.6 and later load no pickled activation unless they are asked to
    "mkdir -p {{samples}}/{{name}}; TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 "
    "{python}sample.py --dataset {dataset} --data_root {{out}} --batch_size {{batch}} "
    "--experiment_name {{name}} --samples_root {{samples}} --sample_npz --sample_num_npz {{drawn}}"
)
_NO_SAMPLES = "It has no script that draws samples; its eval.py gives figures of its own alone."
_EVALUATE = "python calculate_inception_moments.py --dataset {dataset} --data_root {{real}}"
_STUDIOGAN_TRAIN = (
    "-metrics none -cfg CFG.yaml -data {out} -save RUNS --save_freq {save_every} "
    "--print_freq {save_every}"
)
_STUDIOGAN_SAMPLE = (
    'for file in CKPT/*-current-*; do cp "$file" "${{file/-current-/-best-}}"; done; '
    "python src/main.py -metrics none -sf -sf_num {drawn} -cfg CFG.yaml -data {out} -ckpt CKPT "
    "-save RUNS"
)
_STUDIOGAN_STEPS = (
    "Set OPTIMIZATION: batch_size: {batch}, d_updates_per_step: 5 and total_steps: {one_less} in "
    "CFG.yaml. A step shows the product of the first two, and needs so many images; it makes one "
    "step more than the last says, {iterations}."
)
_STUDIOGAN_BEST = (
    "CKPT is RUNS/checkpoints/RUN_NAME. With -metrics none a training chooses no best weights, and "
    "ends with `list index out of range` after the last are saved; every later command wants best "
    "ones, and the one that samples copies the last under that name."
)
_STUDIOGAN_CONFIG = "num_classes: {classes} and img_size: {resolution} in CFG.yaml"

# Every save is kept as a copy (copy0, copy1, ...), all at the same images shown in each arm; the
# training goes on to the end of an epoch, and later copies are not sampled.
_BIGGAN_PRESET = TrialPreset(
    scripts=("train.py", "sample.py", "utils.py", "inception_utils.py"),
    command="""set -e
export CUDA_VISIBLE_DEVICES={gpu} TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1
biggan() {{
  {python} {runner} biggan {classes} {checkout}/"$@" --dataset I{resolution}_hdf5 \\
    --data_root {data} --batch_size {batch} --ema --use_ema --ema_decay 0.999 --seed {seed} \\
    --experiment_name trial --weights_root {out}/weights --logs_root {out}/logs \\
    --samples_root {out}/sheets
}}
biggan train.py --shuffle --load_in_mem --num_epochs {epochs} --save_every {every} \\
  --num_save_copies {copies} --test_every 1000000000
mkdir {out}/samples
for copy in $(seq 0 {last_snapshot}); do
  biggan sample.py --load_weights copy$copy --sample_npz --sample_num_npz {samples}
  mv {out}/sheets/trial/samples.npz {out}/samples/$(((copy + 1) * {every} * {update})).npz
done""",
    unit="iterations",
    update=128,
    halves=2,
    note="Its number of classes is set to the corpus's, where its table has 1,000, and it is run"
    " without the Inception scores of its own tests; averaged weights with decay 0.999. Classes are"
    " drawn evenly. Each snapshot is kept with both optimisers until the arm is made anew.",
)

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
    batch=256,
    full_batches=2,  # an update of the generator takes two of the discriminator
    train=_BIGGAN_PYTHON + _TRAIN.format(dataset="I{resolution}_hdf5") + _SAVES,
    length=TrainLength("epochs", 100),
    sample=_SAMPLE.format(dataset="I{resolution}_hdf5", python=_BIGGAN_PYTHON),
    samples="{samples}/{name}/samples.npz",
    evaluate=_EVALUATE.format(dataset="I{resolution}_hdf5"),
    notes=(
        _BATCH,
        _MOMENTS,
        _TESTS,
        _CLASSES,
    ),
    remember=("--dataset I{resolution}_hdf5 --data_root {parent}", _REMEMBER_CLASSES),
    preset=_BIGGAN_PRESET,
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
    batch=256,
    full_batches=2,
    train=_BIGGAN_PYTHON + _TRAIN.format(dataset="I{network}") + _SAVES,
    length=TrainLength("epochs", 100),
    sample=_SAMPLE.format(dataset="I{network}", python=_BIGGAN_PYTHON),
    samples="{samples}/{name}/samples.npz",
    evaluate=_EVALUATE.format(dataset="I{network}"),
    notes=(
        _BATCH,
        _MOMENTS,
        _TESTS,
        _CLASSES,
        _INDEX,
        "It has networks for 32, 64, 128 and 256 px, and scales other images.",
        CONVERTS,
    ),
    remember=(
        "delete I{network}_imgs.npz in the trainer's working folder after each new export: it is a"
        " cache of the file names and goes stale",
        _REMEMBER_CLASSES,
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
    train=_BIGGAN_PYTHON
    + _TRAIN.format(dataset="I{network}")
    + " --DiffAugment translation,cutout",
    length=TrainLength("epochs", 500),
    sample="",
    samples="SAMPLES",
    evaluate=CLEAN_FID.replace("{samples}", "SAMPLES"),
    notes=(_BATCH, _CLASSES, _INDEX, _NO_SAMPLES, CONVERTS),
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
        batch=64,
        full_batches=5,
        train=f"python src/main.py -t -hdf5 -l {_STUDIOGAN_TRAIN}",
        length=TrainLength("iterations", 100_000, update=320),
        sample=_STUDIOGAN_SAMPLE,
        samples="RUNS/samples/RUN_NAME/fake",
        evaluate="python src/main.py -metrics fid -ref train -ckpt CKPT -cfg CFG.yaml -data {real} "
        "-save RUNS",
        real_to="imagefolder",
        notes=(
            "CFG.yaml must say DATA: name: {name}, img_size: {resolution}, num_classes: {classes}, "
            "or the file is not found and made anew from a folder.",
            "wo_resize is its default --pre_resizer; with another one rename the file.",
            _STUDIOGAN_STEPS,
            _STUDIOGAN_BEST,
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
        batch=64,
        full_batches=5,
        train=f"python src/main.py -t {_STUDIOGAN_TRAIN}",
        length=TrainLength("iterations", 100_000, update=320),
        sample=_STUDIOGAN_SAMPLE,
        samples="RUNS/samples/RUN_NAME/fake",
        evaluate="python src/main.py -metrics fid -ref valid -ckpt CKPT -cfg CFG.yaml -data {out} "
        "-save RUNS",
        notes=(
            "valid/ holds the corpus's real images, or held-out ones with --held-out: -ref valid "
            "compares with those.",
            "CFG.yaml must say DATA: name: {name}, img_size: {resolution}, num_classes: {classes}.",
            _STUDIOGAN_STEPS,
            _STUDIOGAN_BEST,
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
        train=_LECAM_PYTHON + _TRAIN.format(dataset="I{network}") + _LECAM,
    ),
    replace(
        _BIGGAN_HDF5,
        trainer="lecam",
        title="LeCam-GAN (biggan_cifar)",
        train=_LECAM_PYTHON + _TRAIN.format(dataset="I{resolution}_hdf5") + _LECAM,
        length=TrainLength("epochs", 500),
        sample="",
        samples="SAMPLES",
        evaluate=CLEAN_FID.replace("{samples}", "SAMPLES"),
        notes=(_BATCH, _CLASSES, _NO_SAMPLES),
        preset=None,
    ),
    _DIFFAUGMENT_FOLDER,
)
