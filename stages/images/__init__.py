"""Handles one image file: read, decode, check, compare, encode.

input         one image that can be read    decode      bytes -> prepared pixels, or a reason
decode_pool   decodes in parallel           pixel_file  keeps decoded images on disk
bit_depth     16-bit values -> 8 bits       corruption  damage that Pillow does not report
similarity    perceptual hashes             png         pixels -> PNG
"""
