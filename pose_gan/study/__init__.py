"""The user study (paper, Section 6.2): raters say of each image whether it is real or generated."""
