"""Keypoints that other programs wrote: readers of their files, the choice of one person, and names of images."""
