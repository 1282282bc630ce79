"""From a generator or a folder of images to tables, figures and pages."""
