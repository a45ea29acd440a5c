"""Commands and notes that several rows of the table of trainers share."""

CLEAN_FID = (
    "python -c \"from cleanfid import fid; print(fid.compute_fid('SAMPLES', '{real}'))\"  "
    "# SAMPLES: a folder of generated images"
)
CONVERTS = "It converts gray images itself."
