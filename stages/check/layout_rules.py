"""Literal rules about class folders, the two sides of unpaired data, HDF5 and LMDB."""

from .rule import RESIZE, Rule, error, warning

_DROPPING = (
    "sincut, biggan, lecam, diffaugment-biggan, studiogan, stargan-v2, rosinality, styleswin,"
    " stylegan2-pytorch, lightweight-gan, gigagan"
)
_NO_BATCH = (
    "drops what does not fill a batch: it waits for ever, or fails in the first epoch as in"
    " `no attribute 'schedulers'`"
)

FOLDERS: dict[str, Rule] = {
    "split-missing": error(
        "is a folder that this trainer reads and is not there",
        "stargan-v2, studiogan, biggan, unpaired",
        "FileNotFoundError at the start, or at the first evaluation",
        "Make it; name the folder above it as the path.",
    ),
    "no-classes": error(
        "has no class folders",
        "imagefolder (not stylegan2-pytorch, lightweight-gan, fastgan)",
        "FileNotFoundError at the start: could not find any class folder",
        "Put the images into <split>/<class>/; without classes, into one folder named 0.",
    ),
    "empty-folder": error(
        "is a class folder without an image",
        "imagefolder",
        "FileNotFoundError at the start: found no valid file for the class",
        "Remove it: `find {path} -type d -empty -delete`.",
    ),
    "hidden-folder": error(
        "is a hidden folder beside the classes",
        "imagefolder",
        "takes it as a class: FileNotFoundError, or one class more and all numbers moved",
        "Remove it: `rm -r FOLDER`; notebooks make .ipynb_checkpoints.",
    ),
    "hidden-images": warning(
        "lies in a hidden folder inside a class",
        "imagefolder, unpaired, stylegan",
        "trains on it: editors leave such copies",
        "Remove the hidden folder.",
    ),
    "file-at-class-root": error(
        "is a plain file beside the class folders",
        "stargan-v2",
        "counts it as a domain: numbers move, then an index error",
        "Move it out; a stylegan export (dataset.json) wants a folder of its own.",
    ),
    "image-at-class-root": error(
        "is an image beside the class folders",
        "imagefolder",
        "never reads it",
        "Move it into its class folder.",
    ),
    "stray-file": warning(
        "is a plain file beside the class folders",
        "imagefolder (not stargan-v2, where it is an error)",
        "passes over it",
        "Move it out: StarGAN v2 would count it as a domain.",
    ),
    "ending-ignored": error(
        "is an image whose ending this trainer passes over",
        "imagefolder, unpaired; stylegan (HEIC)",
        "trains without it and says nothing",
        "Convert or rename to lower-case .png: `mogrify -format png FILES`, then remove the old.",
    ),
    "unpadded-classes": error(
        "class folders are numbered without leading zeros",
        "imagefolder",
        "sorts names as text: folder 10 becomes class 2, and no class number is its folder's",
        "Pad them: 02, 10. `cd SPLIT && for d in [0-9]; do mv $d 0$d; done`, in every split.",
    ),
    "case-collision": warning(
        "differs from another class only in upper and lower case",
        "imagefolder",
        "takes two classes, and one on macOS or Windows",
        "Merge or rename them.",
    ),
    "split-classes": error(
        "has other classes than the first split",
        "stargan-v2, studiogan",
        "numbers classes by their place in each split: labels are wrong in one, or out of range",
        "Give every split the same class folders.",
    ),
    "too-many-classes": error(
        "has more classes than the trainer's fixed 1,000",
        "biggan, lecam, diffaugment-biggan",
        "index out of range, in CUDA as a device-side assert",
        "Merge classes, or use a trainer that takes the number as an option.",
    ),
    "too-few-images": error(
        "has fewer images than one batch of 8",
        "stargan-v2",
        "drops the only batch: StopIteration at the first step",
        "Add images, or pass --batch_size (training) and --val_batch_size below the count.",
    ),
    "no-full-batch": error(
        "has too few images for a full batch",
        _DROPPING,
        _NO_BATCH,
        "Pass the trainer a batch of that size or less, or add images.",
    ),
    "small-batch": warning(
        "has too few images for a full batch of the trainer's usual size",
        _DROPPING,
        f"{_NO_BATCH}, unless it is given a smaller one",
        "Pass the trainer a batch of that size or less, as `export` prints it.",
    ),
    "images-too-deep": error(
        "lies in a sub-folder, and this trainer lists one folder alone",
        "fastgan",
        "never reads it",
        "Put all images into one folder.",
    ),
    "alpha-dropped": warning(
        "has transparency",
        "imagefolder, unpaired",
        "drops it: whatever colour was hidden there shows",
        "Lay it on a background: `mogrify -background white -alpha remove -alpha off FILES`.",
    ),
    "sizes-vary": warning(
        "has another size than most images",
        "imagefolder, unpaired",
        "resizes it while loading, with its own filter",
        f"To choose the filter yourself: {RESIZE}",
    ),
    "not-square-resized": warning(
        "is not square",
        "imagefolder, unpaired",
        "distorts or crops it while loading",
        f"To choose yourself: {RESIZE}",
    ),
    "side-not-advised": warning(
        "has a side that the trainer's usual networks do not have",
        "studiogan",
        "stops when the network is built, unless its configuration is changed",
        RESIZE,
    ),
    "side-unknown": error(
        "has a side that this trainer has no network for",
        "biggan (hdf5), lecam, diffaugment-biggan, sincut, fastgan (lmdb), r3gan",
        "KeyError when options are read, or a shape error at the first step",
        RESIZE,
    ),
    "side-empty": error(
        "has no image that the loader takes",
        "unpaired",
        "ZeroDivisionError, or an empty range, at the first batch",
        "Put the images of that domain there, as .png or .jpg.",
    ),
    "one-image-a-side": warning(
        "has more than the one image that the default reads",
        "sincut",
        "AssertionError at the start: one image in each domain",
        "Pass `--dataset_mode unaligned --preprocess none --batch_size {batch} --load_size {side}"
        " --crop_size {side}`.",
    ),
    "no-test-folders": warning(
        "is not there",
        "unpaired",
        "trains, and test.py then finds no images",
        "Put held-out images there, or test with `--phase train`.",
    ),
}

FILES: dict[str, Rule] = {
    "hdf5-damaged": error(
        "cannot be read as HDF5 to its end",
        "hdf5",
        "OSError at the start, or when a batch draws the block",
        "The writer was stopped or the copy is short. Make or copy the file again.",
    ),
    "hdf5-external": error(
        "is a link or keeps its data in another file",
        "hdf5",
        "opens whatever file is named there; nothing there is checked",
        "Put the data into the file itself: `h5repack`, or write it again.",
    ),
    "hdf5-key-missing": error(
        "is not in the file",
        "hdf5",
        "KeyError at the start",
        "Name the two arrays `imgs` and `labels`, at the root of the file.",
    ),
    "hdf5-imgs-type": error(
        "has values that are not unsigned 8-bit",
        "hdf5",
        "scales by 1/255 whatever it finds: silent garbage, or a PIL error",
        "Store uint8, 0..255.",
    ),
    "hdf5-imgs-shape": error(
        "has a shape that is neither (N, 3, H, W) nor (N, H, W, 3)",
        "hdf5",
        "a shape error at the first step; gray has to be repeated to three channels",
        "Store N images of three channels, in the trainer's axis order.",
    ),
    "hdf5-axes": error(
        "has the other trainer's axis order",
        "hdf5",
        "a shape error at the first step, or a transposed image",
        "Transpose: `numpy.transpose(imgs, (0, 2, 3, 1))` for StudioGAN (NHWC), `(0, 3, 1, 2)` for"
        " BigGAN and LeCam (NCHW).",
    ),
    "hdf5-file-name": error(
        "has a name that the trainer does not look for",
        "hdf5",
        "BigGAN: unable to open file; StudioGAN makes a new file from a folder that is not there",
        "Rename it as shown, inside the folder that the trainer is given.",
    ),
    "hdf5-label-type": error(
        "labels are not whole numbers",
        "hdf5",
        "silently truncates them to whole numbers",
        "Store labels as int64, 0..K-1.",
    ),
    "hdf5-soft-labels": error(
        "labels are lists: this format cannot express soft labels",
        "hdf5",
        "TypeError when a batch draws one",
        "`scoremix-pipeline export SHARDS --to hdf5 --hard-labels argmax --out PATH`, or use the"
        " stylegan target, which has them.",
    ),
    "hdf5-label-count": error(
        "has another number of labels than of images",
        "hdf5",
        "an index error in the epoch, or images that are never read",
        "Write one label for each image.",
    ),
    "hdf5-label-range": error(
        "has a label above the trainer's fixed classes",
        "biggan, lecam",
        "index out of range, in CUDA as a device-side assert",
        "Number the classes 0..K-1, with K at most 1,000.",
    ),
    "hdf5-label-gaps": warning(
        "class numbers have gaps",
        "hdf5",
        "keeps classes that never see an image",
        "Number the classes 0..K-1 without a gap.",
    ),
    "hdf5-blank": warning(
        "is all zeros",
        "hdf5",
        "trains on black images: a writer that was stopped leaves such rows",
        "Write the file again if the images should not be black.",
    ),
    "lmdb-is-file": error(
        "is a file, and the trainer opens a folder with data.mdb in it",
        "lmdb",
        "lmdb.Error at the start: Not a directory",
        "Make a folder and move the file there as data.mdb.",
    ),
    "lmdb-damaged": error(
        "cannot be read as LMDB to its end",
        "lmdb",
        "lmdb.Error at the start, or the process dies with SIGBUS",
        "The copy is short or the writer was stopped. Copy or make it again.",
    ),
    "lmdb-length": error(
        "does not say how many images there are",
        "lmdb",
        "AttributeError or ValueError at the start; with a count too large, a TypeError when a"
        " batch draws a missing key; too small, images that are never read",
        "Store the count as ASCII digits under the key `length`.",
    ),
    "lmdb-key-missing": error(
        "is not in the database",
        "lmdb",
        "TypeError when a batch draws it",
        "Name keys SIDE-INDEX with five digits from 0 without a gap, as in 64-00000.",
    ),
    "lmdb-odd-key": warning(
        "is a key that no trainer asks for",
        "lmdb",
        "never reads it",
        "Name keys SIDE-INDEX with five digits, as in 64-00000.",
    ),
    "lmdb-size": error(
        "is not of the size that its key says",
        "lmdb",
        "does not resize: a shape error at the first step",
        RESIZE,
    ),
}
