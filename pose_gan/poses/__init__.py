"""The articulated object and its poses, in NumPy: skeletons, keypoints, sequences, framing and drawings."""
