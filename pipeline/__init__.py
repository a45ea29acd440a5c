"""The command line, and the spine that runs the stages: ingest -> train -> pilot -> plan ->
generate -> write -> evaluate.

cli              command line entry point, exit codes, the one place that prints errors
commands/        one module for each command
run              the spine: runs the stages of a job in order
job              what to do and where: one run of the spine, and its outcome
steps/           one function for each stage: is it stale, run it, record it
shards/          builds shards, divides them among workers, puts them in a folder or an object store
recognition/     trains recognisers on several corpora of a run
trial/           trains GANs on several corpora of a run
maintenance/     forget and repair: changes to a finished run
library/         what `import scoremix` offers: a run's mixer, its corpus as a Dataset
echo             prints to standard output
config           stages.yaml composed, checked and resolved
init_file        the stages.yaml that `init` writes, fitted to a source
unused           options that were set for nothing, named
fewer_rounds     refuses to make a corpus shorter than it is
refused_options  refuses, before it trains or plans, options that ask for a change and make none
contradictions   options of training and making that contradict each other
config_errors    what is wrong in a stages.yaml, in words
unset_path       a `path` unset by a word that is the name of a folder
yaml_text        reads YAML: no key twice, no deep nesting
ledger           stages.lock.json: which stages are done, stale (and why) or missing
fingerprints     what each stage is made from, hashed for the ledger
source_names     files of the sources by key, and keys by file
source_listing   the files of the sources, to name those that changed
other_images     whether a source holds other images than when it was read
decided          the config with the method that the pilot chose
planned          reads the plan and the recipe that a run has made
trained_network  opens score-net/ of a run, or says what is wrong with it
class_estimate   what a dry run says of images made class by class, and of the recogniser
new_classes      the new classes of a run, as its recogniser chose them
means            the mean images of a run, about which some methods mix
trial_trainer    the trainer of a trial: a command, or a preset with a checkout
trial_gan        the own GAN of a trial: options, and how long it trains
trial_sizes      which training images a size of a trial has
trial_check      refuses a trial that cannot be before the run that it follows
earlier_trial    whether the trial of a run is of what the run makes now
preflight        refuses places, disks and networks that cannot work, before anything is made
own_places       keeps apart the shards, the run's own files, and what was there before it
other_data       stops before a corpus is given up for other images, unless that was asked for
finished_run     opens a finished run, to repair or to change it
other_options    images of a finished run's corpus by other options, for arms of comparisons
launch           processes of one launch (`accelerate launch`, torchrun), and `--worker I/N`
environment      libraries and processor that the bytes of a shard depend on
speed_probe      seconds of a network call, and of encoding, on this machine
dry_run          --dry-run: counts, bytes, and time from a short probe
measured_quality  what a dry run says of the quality
work_left        steps of the training and shards of the plan that are left to do
long_run         says before a run of more than an hour how long it takes
status           what a run folder holds
progress         progress bars, timed lines and the JSON log
signals          stops on request, resumable
energy           joules of processors and GPUs
docs             writes the documents that are made from the code

Below it: stages (the parts of the pipeline) -> models (torch), manifests (the files; no torch).
"""
