"""Train: trains the score network on a corpus.

train        the training loop: corpus -> score-net/
config       section `train` of stages.yaml
batches      images, noise levels and noise of an update
loss_guard   stops on request, and before a loss that is not finite reaches the weights
validation   loss per noise band, norms of real images
augment      non-leaking augmentation: changes of images, as a condition
checkpoint   the state to resume from
identity     what makes a training the same one
guide        averages of an early step, for autoguidance
facts        model.json: the shape, and how it was trained
optimiser    Adam and its learning rate
log          train.jsonl
tracking     losses and sample sheets for an experiment tracker
"""
