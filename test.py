"""Generates the images of a test split and scores them: the same as `pose-gan test`. Tests are in `tests/`."""

from pose_gan.errors import run_program
from pose_gan.programs.test import main

if __name__ == "__main__":
    run_program(main)
