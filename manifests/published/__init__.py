"""A published corpus: written, read, verified."""
