"""Where files are stored: folders and object stores.

location   a path or a URL
store      the interface of both, and the one of a folder
remote     an object store, through fsspec
retry      repeats failed requests for a while
"""
