"""Readers of the layouts that trainers use."""
