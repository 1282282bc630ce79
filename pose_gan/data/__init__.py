"""From folders and CSV files to batches: lists of pairs, the places of their files, images and keypoints."""
