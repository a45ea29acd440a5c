"""The commands, one module each; results go to standard output.

run          `run`, `augment` and `init`, and what all commands that run stages share
evaluate     `evaluate`: a run's corpus, or samples of a trained GAN
report       `report` and `compare`
features     `features`: a network to evaluate with
inspect      `inspect`: what shards hold, and where an image comes from
verify       `verify`
repair       `repair`
forget       `forget`
export       `export`
mount        `mount`
check        `check`
push         `push`: to a dataset of the Hugging Face Hub
trial        `trial`
recognition  `recognition`
options      options and parameter types that several commands share
"""
