"""Preprocessing: images to keypoint annotations to pair lists. Run `python -m data_prep VERB --help`."""

SPLITS = ("train", "test")  # of a data set; folders and files are named so
