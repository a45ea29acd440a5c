"""Metrics over features: each written once, whatever network gave the vectors.

distances         Frechet and kernel distance, and the paired comparison
kernel            kernel distance over seeded subsets
mixture           distances of a mixture of sets in given shares
dyads             spread of a kernel distance over other draws of training images
corpus_interval   the same for whole corpora, real images and made ones, at each ratio
prdc              precision, recall, density, coverage
neighbours        exact nearest neighbours and balls, in bounded memory
copying           copies of training images, and the data-copying test
distortions       known damage, by which an extractor is tried
contrast          contrast and fine detail of single images
diversity         mean distance of pairs
perceptual        LPIPS
classifier_score  the Inception Score, whatever the classifier
single_image      Frechet distance between the patches of two pictures
paired_seeds      differences over a few seeds: Student's distribution, several at once
verification      pairs of images: TAR at a FAR, equal error rate, ROC, intervals over classes
identification    nearest embeddings: rank-1, one-shot episodes
record            one measured number, with all that makes it comparable
"""
