"""Preprocessing: images to keypoint annotations to pair lists. Run `python -m data_prep VERB --help`."""
