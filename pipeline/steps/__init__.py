"""One function per step of the run: is it stale, do it, record what it was made from."""
