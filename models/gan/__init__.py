"""A GAN small enough for two CPU cores, by which a corpus is tried.

Images are on the scale [-1, 1].

networks     generator and discriminator, class-conditional where there are classes
changes      names of the changes that follow
diffaugment  differentiable augmentation of what the discriminator sees
"""
