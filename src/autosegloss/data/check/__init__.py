"""Checks a data set before a training: counts, faults, and a picture of a few samples."""
