"""trial: does the corpus pay? The same GAN on several corpora, seeds and images shown alike.

config: section `trial`. arms: which corpora are compared, read from text. gan_run: one GAN on one
corpus with one seed, resumable. judge: its snapshots against held-out images. outcome: what all of
them say together. picture: the curves.
"""
