"""Presets of `trial` for trainers that have no family: StarGAN v2, CUT, DCGAN, FastGAN."""

from .spec import TrialPreset

STARGAN_V2 = TrialPreset(
    scripts=("main.py", "core/solver.py", "metrics/eval.py"),
    command="""set -e
export CUDA_VISIBLE_DEVICES={gpu}
stargan() {{
  {python} "$@" --num_domains {classes} --w_hpf 0 --img_size {network} --seed {seed} \\
    --train_img_dir {data}/train --val_img_dir {data}/val --checkpoint_dir {out}/checkpoints
}}
stargan {checkout}/main.py --mode train --batch_size {batch} --total_iters {iterations} \\
  --ds_iter {iterations} --save_every {every} --sample_every 1000000000 --eval_every 1000000000
for step in $(seq {every} {every} {iterations}); do
  stargan {runner} stargan-v2 {checkout}/main.py --mode eval --resume_iter $step \\
    --num_outs_per_domain {outputs} --eval_dir {out}/samples/$((step * {update}))
done""",
    unit="iterations",
    update=8,
    translates=True,
    flips=True,
    needs_gpu=False,
    note="Training images are translated into each other class, by random styles, with its own"
    " evaluation but for LPIPS and FID. An update shows 8 images of the source, and as many"
    " references. Each class is judged by its held-out images, and the mean is taken; each pair has"
    " a row of its own, and LPIPS where evaluate.lpips names weights.",
)

CUT = TrialPreset(
    scripts=("train.py", "test.py"),
    command="""set -e
export CUDA_VISIBLE_DEVICES={gpu}
cut() {{
  {python} {runner} cut {seed} {checkout}/"$@" --dataroot {data} --name trial --CUT_mode CUT \\
    --load_size {network} --crop_size {network} --checkpoints_dir {out}/checkpoints
}}
cut train.py --n_epochs {first_half} --n_epochs_decay {second_half} --display_id 0 --no_html \\
  --save_epoch_freq {every} --save_latest_freq {shown}
for epoch in {early_epochs} latest; do
  cut test.py --phase train --epoch $epoch --num_test {sources} --results_dir {out}/results
  images={out}/samples/$((${{epoch/latest/{epochs}}} * {count}))
  mkdir -p "$images"
  mv {out}/results/trial/train_$epoch/images/fake_B "$images/to-1"
done""",
    unit="epochs",
    translates=True,
    flips=True,
    needs_gpu=False,
    note="Half of the epochs at the full learning rate, half while it falls. The real training"
    " images of A are translated, and judged by the held-out images of B. It has no option for a"
    " seed: random, NumPy and torch are seeded before it starts.",
)

SINCUT = TrialPreset(
    scripts=("train.py", "test.py"),
    command="""set -e
export CUDA_VISIBLE_DEVICES={gpu}
sincut() {{
  {python} {runner} cut {seed} {checkout}/"$@" --dataroot {data} --name trial --model sincut \\
    --dataset_mode unaligned --preprocess none --load_size {resolution} --crop_size {resolution} \\
    --checkpoints_dir {out}/checkpoints
}}
sincut train.py --batch_size {batch} --n_epochs {first_half} --n_epochs_decay {second_half} \\
  --display_id 0 --no_html --save_epoch_freq {every} --save_latest_freq {shown}
for epoch in {early_epochs} latest; do
  sincut test.py --phase train --epoch $epoch --num_test {sources} --results_dir {out}/results
  images={out}/samples/$((${{epoch/latest/{epochs}}} * {count}))
  mkdir -p "$images"
  mv {out}/results/trial/train_$epoch/images/fake_B "$images/to-1"
done""",
    unit="epochs",
    update=16,
    translates=True,
    one_shot=True,
    whole_batches=True,
    note="One image into the style of another, by patches of both (ingest.patches), at least 16 of"
    " each. No image is held out: the translated patches of A are compared with the real ones of B"
    " by their feature maps (evaluate.maps, or Inception's weights), at the last snapshot. Seeded"
    " as CUT is.",
)

DCGAN = TrialPreset(
    scripts=("main.py",),
    command="""set -e
export CUDA_VISIBLE_DEVICES={gpu}
{python} {runner} dcgan {out}/samples {every} {count} {samples} {checkout}/main.py \\
  --dataset folder --dataroot {data}/train --imageSize {network} --batchSize {batch} \\
  --niter {epochs} --manualSeed {seed} --outf {out}/training""",
    unit="epochs",
    update=64,
    needs_gpu=False,
    note="It writes grids only, and weights after each epoch: only the weights of the snapshots are"
    " kept, and its own generator draws from them. A GPU is used where it can.",
)

FASTGAN = TrialPreset(
    scripts=("train.py", "models.py"),
    command="""set -e
export CUDA_VISIBLE_DEVICES={gpu}
{python} {runner} fastgan {seed} {checkout}/train.py --path {data} --im_size {network} \\
  --iter {iterations} --batch_size {batch} --name trial
{python} {runner} fastgan-samples {checkout} {out}/train_results/trial/models {out}/samples \\
  {network} {samples} {seed} {update}""",
    unit="iterations",
    update=8,
    flips=True,
    note="A snapshot every 5,000 updates of 8 images, whatever trial.snapshot_every says. Its"
    " eval.py cannot read the weights that its train.py writes, so that its generator is sampled by"
    " a script of ours. It has no option for a seed: random, NumPy and torch are seeded before it"
    " starts. Read at commit 04524ef, in forks: the address of its authors holds other files now.",
)
