"""The tables on disk. Writer, reader, documentation and tests all read these objects."""

from typing import Any

import pyarrow as pa

# corpus/sources.parquet: a row for EVERY input, in name order, rejected ones with the reason.
SOURCES = pa.schema(
    [
        ("index", pa.int64()),  # position of the input: source by source, in name order
        ("source", pa.int32()),  # place in ingest.source, -1 for ingest.reference
        ("name", pa.string()),  # as found, below the source's root; never a key; null if forgotten
        ("status", pa.string()),  # train | reference | duplicate | rejected | unused | forgotten
        ("reason", pa.string()),  # why it was rejected or left out, null otherwise
        ("row", pa.int64()),  # its row in images.npy (train) or reference.npy, null otherwise
        ("key", pa.string()),  # its key in the shards ("000123"), null unless status is train
        ("class_id", pa.int32()),  # index into classes.json, -1 without classes
        ("class_name", pa.string()),  # null without classes
        ("bytes", pa.int64()),  # size of the file as read
        ("sha256", pa.string()),  # of the file's bytes as read
        ("pixel_sha256", pa.string()),  # of the prepared H,W,C uint8 pixels, null if rejected
        ("format", pa.string()),  # the decoder that recognised it: JPEG, PNG, ...
        ("mode", pa.string()),  # the colour mode before preparation: RGB, L, P, ...
        ("width", pa.int32()),  # pixels before preparation
        ("height", pa.int32()),
        ("note", pa.string()),  # what preparation changed ("alpha composited"), null if nothing
        ("phash", pa.string()),  # perceptual hash of the prepared pixels, 16 hex digits, or null
        ("near", pa.int64()),  # index of the first input in use that it resembles, or null
        ("license", pa.string()),  # licence of the source where it is known, null otherwise
    ]
)

# shards/plan.parquet: one row per sample; round 0 holds the real images, rounds 1..mu the others.
PLAN = pa.schema(
    [
        ("key", pa.string()),  # real "000123"; augmented "000123-007" (base 123, round 7)
        ("kind", pa.string()),  # real | augmented
        ("round", pa.int32()),  # 0 real, 1..mu augmented; a shard never straddles rounds
        ("shard", pa.string()),  # "real-000000", "aug-000000", ...
        ("position", pa.int32()),  # place within the shard, as planned
        ("row_1", pa.int64()),  # row of parent 1 (the base) in corpus/images.npy
        ("row_2", pa.int64()),  # row of parent 2 (the partner)
        ("source_1", pa.string()),  # key of parent 1
        ("source_2", pa.string()),  # key of parent 2
        ("lambda", pa.float64()),  # weight of parent 1: x' = lambda x1 + (1 - lambda) x2
        ("class_id", pa.int32()),  # class of the sample, -1 without one class
        ("method", pa.string()),  # real, or the method of section `generate`
        ("seed", pa.int64()),  # key of the sample's own random stream
    ]
)

# The columns that a manifest adds to the plan's, known once a sample is written.
_OUTCOME = [
    ("offset", pa.int64()),  # of the image's bytes (not its header) in the tar
    ("size", pa.int64()),  # bytes of the image file
    ("sha256", pa.string()),  # of the image file
    ("pixel_sha256", pa.string()),  # of its H,W,C uint8 pixels: holds where zlib differs
    ("source_1_sha256", pa.string()),  # of parent 1's file as ingested
    ("source_2_sha256", pa.string()),  # of parent 2's file as ingested
    ("soft_label", pa.list_(pa.float32())),  # class weights where parents' classes differ, or null
    ("recipe_digest", pa.string()),  # model, options, micro-batch, precision, encoder
    ("norm_mixup", pa.float32()),  # ||sigma_N S||^2 / D at x', null without a score network
    ("norm_minimised", pa.float32()),  # the same at x*
    ("norm_final", pa.float32()),  # the same at the image before rounding
    ("license", pa.string()),  # licences of the parents, " AND " between them, or null
    ("width", pa.int32()),
    ("height", pa.int32()),
]

# A shard's Parquet and shards/manifest.parquet: the plan's row plus its outcome.
MANIFEST = pa.schema(list(PLAN) + [pa.field(*column) for column in _OUTCOME])

# KEY.json inside a shard: the same fields with the same types in every sample. The three norms
# are left out of every sample where no score network exists; soft_label is there only with
# pairing "any" on a corpus with classes.
SAMPLE_FIELDS: dict[str, Any] = {
    "key": str,
    "kind": str,
    "round": int,
    "source_1": str,
    "source_2": str,
    "lambda": float,
    "method": str,
    "seed": int,
    "class_id": int,
    "norm_mixup": float,
    "norm_minimised": float,
    "norm_final": float,
    "soft_label": list,
}
