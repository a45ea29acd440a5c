"""Single images: decoding, preparing, comparing, encoding. Imports nothing here: decoder processes
load this package.

input           one image that can be read: name, reader, class
preparation     how every image is prepared
decode          file bytes -> prepared pixels, or the reason why not
decode_pool     decodes in parallel threads or processes, in order
plugins         formats that Pillow reads with another package
colour          any mode -> RGB
colour_profile  ICC profile -> sRGB
tiff            TIFF files whose channels lie apart; thumbnails, palettes
gif             frames that do not cover the screen
bit_depth       16-bit and other deep pixels to 8 bits
corruption      damage in PNG and TIFF that Pillow does not notice
excess          refuses many scans, chunks and blanks before decoding
unusable        the reason why an input cannot be used
similarity      duplicates and near-duplicates, by perceptual hash
pixel_file      decoded images in a temporary file
png             pixels -> PNG
"""
