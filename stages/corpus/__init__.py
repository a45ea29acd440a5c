"""The corpus on disk: images.npy, reference.npy, sources.parquet.

store  writes, opens and checks a corpus
erase  erases forgotten images from a corpus
"""
