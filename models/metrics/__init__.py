"""Metrics over features: each written once, whatever network gave the vectors.

record            one measured number with all that makes it comparable, and its honest name
neighbours        exact nearest neighbours and balls, in blocks of bounded memory
kernel            kernel distance as customary: over seeded subsets, with standard deviation
prdc              precision, recall, density, coverage
copying           copies of training images, and the data-copying test
diversity         mean distance of pairs, over features
perceptual        the same by LPIPS
classifier_score  the Inception Score, whatever the classifier
single_image      Frechet distance between two pictures' own patches
"""
