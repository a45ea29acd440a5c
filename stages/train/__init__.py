"""Train: trains the score network on a corpus.

train        the training loop: corpus -> score-net/
config       section `train` of stages.yaml
batches      images, noise levels and noise of an update
loss_guard   stops before a loss that is not finite reaches the weights
validation   loss per noise band, norms of real images
checkpoint   the state to resume from
log          train.jsonl
"""
