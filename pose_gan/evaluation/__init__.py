"""Makes tables, figures and pages from a generator or from a folder of images."""
