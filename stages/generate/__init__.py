"""Generate: plan rows become images.

generate   plan rows -> images, in micro-batches
apply      loads the parents of a micro-batch and calls the method's function
config     section `generate` of stages.yaml
recipe     all that can change a pixel, as one value with a digest
means      mean images of the corpus and its classes
mixtures   which classes each class of the plan is made of
encodings  encodings of training images, of which `bridge` makes its mixtures
noise      the random numbers of each image
"""
