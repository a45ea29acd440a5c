"""recognition: do made classes help a recogniser? The same training on several corpora and seeds.

arms        the corpora that are compared, by name
by_command  a recogniser of the user's own: what it is given, and what it has to leave
template    the template of its command
comparison  every arm with every seed, in processes
config      section `recognition` of stages.yaml
image_folders  an arm as PNG files, a folder for each class
judge       a recogniser on classes never seen, and on held-out images of those it knows
one         one task, an arm with a seed: train, judge, keep the result
outcome     what all of them say together: table, differences, one sentence
over_classes  differences of arms over draws of the unseen classes
picture     the ROC curves
"""
