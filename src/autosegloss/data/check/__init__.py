"""A look through a data set before a training: counts, faults, and a picture."""
