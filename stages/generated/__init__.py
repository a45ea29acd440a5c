"""Images that a trained GAN made, judged against the run's real ones.

find    what is asked: one set of images, or snapshots of a training in their order
samples a set's images, prepared as the corpus was, and what is wrong with its files
grids   pictures of many samples in one file, which are no samples
judge   the measures of every set, and which snapshot is best
told    the figures as a table and in words
sheet   the samples nearest to training images, as a picture
"""
