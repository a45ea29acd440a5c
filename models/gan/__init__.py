"""A GAN small enough for two CPU cores, by which a corpus is tried.

networks: generator and discriminator of the DCGAN kind with nearest-neighbour up-sampling and
spectral norm. diffaugment: differentiable augmentation of what the discriminator sees. updates: one
update of both, as a function of (seed, step). The scale of images is [-1, 1].
"""
