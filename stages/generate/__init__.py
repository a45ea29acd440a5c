"""Generate: plan rows become images."""
