"""Generate: plan rows become images.

generate   plan rows -> images, in micro-batches
config     section `generate` of stages.yaml
recipe     all that can change a pixel, as one value with a digest
noise      the random numbers of each image
"""
