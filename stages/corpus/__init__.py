"""The corpus: the ingested images on disk, with a row for every input.

store  writes, opens and checks a corpus    erase  removes forgotten images from it
"""
