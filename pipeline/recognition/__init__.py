"""The comparison of recognisers of a run: its arms' corpora, its unseen classes, its files.

recognition   makes what is missing of RUN/recognition, and its tables
corpora       the images of every arm on disk
command       a recogniser of the user's own: its files, its runs, its results
costs         what images and network of the run took
made          images of arms by other methods, made for the comparison alone
selection     which classes the new ones of an arm mix
unseen        the classes that no recogniser is trained on, prepared as the corpus was
"""
