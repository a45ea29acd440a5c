"""Mount: the same layouts through FUSE."""
