"""The trial of a run: the corpora of its arms, its GANs, its files.

trial    makes what is missing of RUN/trial, and its table
arms     the corpora that are compared: as arrays, or as shards
command  GANs by the user's own trainer: export, run
judging  the figures of what it left; of a translation pair by pair
sizes    trial.sizes: the same on fewer training images
vote     --vote and --count: a page for people, and their answers
cost     --dry-run: what would be trained, and how long
"""
