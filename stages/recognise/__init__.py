"""recognise: a recogniser of the corpus's classes, and the pairs of them that new classes mix.

recognise         corpus -> recogniser, class centres, new classes
config            section `recognise` of stages.yaml
run               the training of one recogniser, resumed from its last state
batches           which images an update sees: classes first, then images; flips and affine changes
centres           class centres, and how far apart they are
select            which classes new classes mix: distant, close, random
"""
