"""The parts of the pipeline, a package each, with its Config and one public function.

ingest -> train -> pilot -> generate -> write -> evaluate -> report | export mount check

ingest/       sources -> a corpus of prepared images
train/        corpus -> score network
pilot/        a few hundred mixtures, made in several ways -> the method of the corpus
recognise/    corpus -> recogniser, class centres, new classes (of composed methods)
generate/     plan rows -> images, by ScoreMix or another method
write/        images -> shards
evaluate/     generated against held-out images -> metrics and a verdict
gan_samples/  samples of a GAN trained on the corpus -> the same metrics, the best snapshot
recognition/  a recogniser trained on several corpora -> do made classes help?
trial/        a GAN trained on several corpora -> does the augmented one pay?
report/       metrics, figures and images of a run -> one HTML page
export/       shards -> the layout that a trainer reads
mount/        the same layouts as a read-only file system
check/        any corpus -> can a trainer read it to the end?
sources/      folders, archives, tables and URLs: lists their inputs, reads their bytes
images/       decodes, prepares, compares and encodes images
corpus/       the corpus on disk, which ingest writes and the other stages open
common/       presets, progress, tensors and file formats that several stages share
"""
