"""One verb per file, each with its own frozen Config and one public function.

ingest    sources -> corpus/        train     corpus -> score-net/
generate  plan rows -> pixels       write     pixels -> shards/
evaluate  shards against held-out images -> report/
report/   a run's figures and pictures on one page
check/    any corpus -> can this trainer read it to the end?
export    shards -> a trainer's own layout (writers in layouts/)
mount     the same layouts as a read-only file tree, served from the shards (parts in mounts/)
"""
