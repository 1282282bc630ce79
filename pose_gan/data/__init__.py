"""From folders and CSV files to batches: which pairs there are, where their files lie, images and keypoints."""
