"""What `import scoremix` offers to Python programs; pipeline/toplevel gives it its names.

version         of the installed distribution
open_run        a run folder -> its mixer
mixer           mixes batches as the run mixed its corpus
corpus_dataset  a corpus as torch Datasets: map-style, and from the tars front to back
"""
