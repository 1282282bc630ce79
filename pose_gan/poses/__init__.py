"""The articulated object and its poses, in NumPy: skeletons, keypoints, sequences, frames around them, drawings."""
