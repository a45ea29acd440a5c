"""Where files are stored: folders and object stores.

location    a path or a URL
store       the interface of both, and the one of a folder
remote      an object store, through fsspec
once        a file and its hash, by as few readings as its place allows
conditions  errors of a conditional create: refused, exists, or neither
settings    options of fsspec's clients
web         HTTP: bounded downloads, what statuses mean, no redirects to other hosts
retry       repeats failed requests for a while
"""
