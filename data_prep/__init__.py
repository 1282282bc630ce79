"""Preprocessing: images to keypoint annotations to pair lists. Run `pose-gan data VERB --help`."""

SPLITS = ("train", "test")  # of a data set; folders and files are named so
