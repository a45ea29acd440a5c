"""Literal rules about images and archives, and about the labels of the stylegan target."""

from .rule import ALL, RESIZE, Rule, error, warning

_EXPORT = "`scoremix-pipeline export SHARDS --to TARGET --out PATH` writes it from our shards."
_TO_RGB = (
    "Convert the files named: `mogrify -background white -alpha remove -alpha off -type TrueColor"
    " -depth 8 -define png:color-type=2 FILES`."
)
_MEND = "Fetch or make the files named again, or take them out (and out of dataset.json)."
_RENUMBER = "Number the classes 0..K-1 without a gap and write dataset.json again."
_UNPACK = "Give it what it opens, or name another target with --for."

ANY: dict[str, Rule] = {
    "no-images": error(
        "there is no image that this trainer would take",
        ALL,
        "stops at the start, or waits for ever",
        "Name the folder that holds images. If these are our shards, export them first:"
        " `scoremix-pipeline export SHARDS --to TARGET --out PATH`.",
    ),
    "wrong-kind": error(
        "this is not the kind of file or folder that the trainer opens",
        ALL,
        "stops at the start",
        f"{_UNPACK} {_EXPORT}",
    ),
    "unreadable": error(
        "cannot be read",
        ALL,
        "stops with OSError when a batch draws it",
        "Give yourself the right to read it (`chmod -R u+rX {path}`), mend the link, or remove it.",
    ),
    "empty-file": error(
        "has no bytes",
        ALL,
        "UnidentifiedImageError when a batch draws it",
        f"A copy or a download did not finish. {_MEND}",
    ),
    "not-an-image": error(
        "is named like an image and is none",
        ALL,
        "takes it as an image by its name; UnidentifiedImageError when a batch draws it",
        "Take it out of the data: reports, contact sheets and __MACOSX belong elsewhere. In a zip:"
        " `zip -d CORPUS.zip '__MACOSX/*' MEMBER`; in a folder: `find {path} -name '._*' -delete`.",
    ),
    "damaged-image": error(
        "cannot be decoded to its end",
        ALL,
        "OSError (image file is truncated) when a batch draws it, after hours perhaps",
        _MEND,
    ),
    "too-large": error(
        "is larger than anything a trainer takes",
        ALL,
        "runs out of memory, or DecompressionBombError",
        "Scale the image down or remove it.",
    ),
    "sixteen-bit": error(
        "has 16 or more bits a channel",
        ALL,
        "AssertionError in mid-training, or silently clips nearly all values to white",
        "Save as 8 bit, scaled and not clipped: `mogrify -depth 8 FILES`;"
        " `scoremix-pipeline augment` scales by itself.",
    ),
    "sixteen-bit-planes": error(
        "has 16 bits a channel, and its channels lie apart (TIFF, PlanarConfiguration 2)",
        ALL,
        "trains on noise: Pillow unpacks the planes as bytes of 8-bit colour, without an error",
        "Save as 8 bit, with the channels of each pixel together, in the program that wrote it"
        " (tifffile: planarconfig='contig'); `scoremix-pipeline augment` reads it right.",
    ),
    "exif-orientation": warning(
        "is turned by its EXIF tag, which trainers do not read",
        ALL,
        "trains on the image lying on its side",
        "Turn the pixels: `mogrify -auto-orient FILES`.",
    ),
    "several-frames": warning(
        "is an animation",
        ALL,
        "takes the first frame alone",
        "Save the frames that you want as files of their own: `magick IN.gif FRAME-%04d.png`.",
    ),
    "odd-name": warning(
        "has a name with characters other than printable ASCII, a backslash, or .. in it",
        ALL,
        "may not find it by its name in dataset.json, or on another system",
        "Rename to ASCII, zero-padded, as in 000123.png.",
    ),
}

STYLEGAN: dict[str, Rule] = {
    "zip-name": error(
        "is a zip whose name does not end in .zip",
        "stylegan",
        "IOError at the start: Path must point to a directory or zip",
        "Rename it: `mv {path} {path}.zip`.",
    ),
    "damaged-zip": error(
        "cannot be opened as a zip",
        "stylegan",
        "BadZipFile at the start",
        "Test it with `unzip -t {path}` and fetch or make it again.",
    ),
    "duplicate-members": error(
        "is in the archive more than once under one name",
        "stylegan",
        "silently reads the last one and never the others",
        "Make the zip again from a folder; `zip -r` on top of an old file adds to it.",
    ),
    "mixed-sizes": error(
        "has another size than most images",
        "stylegan, lmdb, lecam, diffaugment-biggan, sincut",
        "a bare AssertionError in mid-training, or at collate",
        RESIZE,
    ),
    "mixed-modes": error(
        "has another mode (gray or colour) than most images",
        "stylegan, lmdb",
        "a bare AssertionError in mid-training",
        "Save all as RGB: `mogrify -type TrueColor -define png:color-type=2 FILES`.",
    ),
    "mode": error(
        "has a mode that this trainer cannot take",
        "stylegan, lmdb, stylegan2-pytorch (lucidrains)",
        "passes --dry-run; then trains on palette indices, or stops at the channel count",
        _TO_RGB,
    ),
    "needs-rgb": error(
        "is gray, and this trainer needs three channels",
        "projected-gan, stylegan-xl, lmdb",
        "RuntimeError in the first layer: expected 3 channels, got 1",
        "Save as RGB: `mogrify -type TrueColor -define png:color-type=2 FILES`, or export with"
        " `scoremix-pipeline export SHARDS --trainer NAME --out PATH`, which repeats the channel.",
    ),
    "not-square": error(
        "is not square",
        "stylegan, lmdb, hdf5, lecam, diffaugment-biggan, sincut",
        "AssertionError at the start, or a shape error at the first step",
        RESIZE,
    ),
    "not-power-of-two": error(
        "has a side that is not a power of two",
        "stylegan (not edm), rosinality",
        "AssertionError when the network is built; --dry-run does not see it",
        RESIZE,
    ),
    "side-multiple": error(
        "has a side that is not a multiple of 4",
        "edm",
        "RuntimeError in the U-Net: the halves of a skip connection differ in size",
        RESIZE,
    ),
    "odd-side": warning(
        "has a side that is not a power of two",
        "edm, lmdb without a trainer",
        "edm trains, though its dataset tool never makes such a corpus; rosinality's fails",
        RESIZE,
    ),
    "too-small": error(
        "has a side below 4 pixels",
        "stylegan, lmdb",
        "AssertionError when the network is built",
        RESIZE,
    ),
    "not-png-inside": error(
        "is named .png and holds another format",
        "stylegan",
        "pyspng, which reads .png wherever it is installed, raises when a batch draws it",
        "Give it the ending of its format, or convert: `mogrify -format png FILES`.",
    ),
    "linked-folder": warning(
        "is a link to a folder",
        "stylegan, stylegan2-pytorch, lightweight-gan",
        "does not go into it: the images there are not in the training set",
        "Copy the folder in its place, or link its files one by one.",
    ),
}

LABELS: dict[str, Rule] = {
    "labels-in-subfolder": error(
        "is not at the root, and there is none at the root",
        "stylegan",
        "ignores it and trains without labels; --cond=1 stops with: requires valid labels",
        "Move dataset.json to the root, its names being paths from there.",
    ),
    "labels-misnamed": warning(
        "looks like labels, but is not named dataset.json",
        "stylegan",
        "ignores it and trains without labels",
        "Rename it to dataset.json at the root.",
    ),
    "folders-are-no-labels": warning(
        "images lie in class folders, but there is no dataset.json",
        "stylegan",
        "ignores folder names and trains without labels",
        'Write dataset.json: {"labels": [["cat/0001.png", 0], ["dog/0001.png", 1]]}.',
    ),
    "labels-unreadable": error(
        'is not JSON of the form {"labels": [["a/b.png", 3], ...]}',
        "stylegan",
        "JSONDecodeError, KeyError or ValueError at the start",
        "Write it again with `json.dump({'labels': pairs}, file)`; null for no labels.",
    ),
    "label-missing": error(
        "has no label in dataset.json",
        "stylegan",
        "KeyError at the start, even without --cond",
        "Add the pair, or remove the image. Names are paths from the root, case matters.",
    ),
    "label-backslash": error(
        "is a label's name with a backslash",
        "stylegan",
        "never finds it: names are looked up with /; KeyError at the start",
        "Write names with /: `sed -i 's#\\\\\\\\#/#g' dataset.json`.",
    ),
    "label-dangling": warning(
        "has a label and is not there",
        "stylegan",
        "passes over it",
        "Remove the pair, or put the image back.",
    ),
    "label-twice": error(
        "has two different labels",
        "stylegan",
        "silently takes the last one",
        "Keep one pair for each image.",
    ),
    "label-scalar-float": error(
        "has a label that is a number with a point",
        "stylegan",
        "silently truncates it to a class: 0.7 becomes class 0",
        "Classes are whole numbers. Soft labels are lists: [0.3, 0.7].",
    ),
    "label-no-caption": error(
        "has a label that is no text",
        "stylegan-t",
        "builds a network that learns from captions, and fails at the first batch",
        "Write a caption for each image, or leave dataset.json out to learn without; `export"
        " --trainer stylegan-t` writes the names of the classes.",
    ),
    "label-type": error(
        "has a label that is neither a whole number nor a list of numbers",
        "stylegan",
        "ValueError or KeyError at the start, or true and false as 1 and 0",
        "Use whole numbers 0..K-1, or one list of K numbers for each image.",
    ),
    "label-kinds-mixed": error(
        "has a label of another kind (number or list) than most",
        "stylegan",
        "ValueError at the start: inhomogeneous shape",
        "Use whole numbers for all images, or lists for all.",
    ),
    "label-lengths": error(
        "has a label list of another length than most",
        "stylegan",
        "ValueError at the start: inhomogeneous shape",
        "Give every image a list of the same length K.",
    ),
    "label-negative": error(
        "has a negative label", "stylegan, hdf5", "AssertionError at the start", _RENUMBER
    ),
    "label-not-finite": error(
        "has a label that is NaN or infinite",
        "stylegan, hdf5",
        "trains until the loss is NaN",
        "Give it a finite label.",
    ),
    "label-gaps": error(
        "class numbers have gaps",
        "stylegan",
        "makes classes that never see an image; asking for one gives noise",
        _RENUMBER,
    ),
    "one-class": warning(
        "all images have one class",
        "stylegan, imagefolder, hdf5",
        "conditions on a constant",
        "Leave the labels out, or give more classes.",
    ),
}
