"""The data sets, one file each, and the code they share."""
