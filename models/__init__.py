"""The method and its networks, in torch alone. Imports nothing of ours.

network/    the score network S(x, sigma): layers, weights on disk, EMA
method/     the formulas: noise ladder, loss, Algorithm 1, denoising, mixing methods
gan/        a small GAN, by which a corpus is tried
recognition/  recognisers: images -> embeddings of classes, and their losses
features/   images -> feature vectors
metrics/    distances and other measures over features
"""
