"""Preprocessing: from images to keypoint annotations and lists of pairs. Run `pose-gan data VERB --help`."""

SPLITS = ("train", "test")  # the splits of a data set; they name its folders and files
