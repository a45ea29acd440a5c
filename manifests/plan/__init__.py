"""The plan: which images are made from which, as data.

schema           the columns of sources, plan and manifest
methods          what the names of methods say about a plan
plan             builds the plan, groups it by shard, hashes its rows
class_plan       the plan of methods that make images class by class
rounds           one round of a plan as a table
training_images  rows, keys and classes of the training images
random_streams   one random stream for each image and purpose
new_classes      classes that mix classes of the corpus
made             the identity of the images that a run makes
"""
