"""Commands and notes that several rows of the table of trainers share."""

CLEAN_FID = (
    'python -c "import sys; from cleanfid import fid; print(fid.compute_fid(*sys.argv[1:]))"'
    " {samples} {real}"
)
CONVERTS = "It converts gray images itself."
SHARED_FOLDERS = (
    "It writes {folders} in the folder where it runs: start each arm in a copy of the checkout."
)

# Of generators that nothing of the trainer's draws single samples from: `images` are float
# (n, 3, side, side) in [-1, 1]. The words of the command are in `words`, the folder first.
SAVE_IMAGES = (
    "os.makedirs(words[0]); [save_image(image, os.path.join(words[0], "
    "str(10 * batch + place) + '.png'), normalize=True, value_range=(-1, 1)) "
    "for batch in range({tens}) for place, image in enumerate({images})]"
)
