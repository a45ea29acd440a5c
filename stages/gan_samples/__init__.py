"""GAN samples: images of a GAN trained on the corpus -> metrics, copying, the best snapshot.

evaluate  evaluates each set of samples against the run's real images
sets      finds the sets: one folder, or the snapshots of a training
place     checks that something lies where the samples should
roles     finds the samples that lie beside real images
parts     tells snapshots from classes and chunks
read      reads and prepares the images of a set
grids     tells grids of samples from single samples
copy_search  by what copies are looked for
pairs     translations between classes: pairs of folders, outputs of one source image
translation  the pairs of a set against the images of their target classes
best      the best snapshot, and those with no significant difference to it
sheet     samples beside their nearest training images
summary   tables and sentences for terminal and page
"""
