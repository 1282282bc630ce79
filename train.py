"""Trains a generator: the same as `pose-gan train`. `python train.py --help` lists all settings."""

from pose_gan.errors import run_program
from pose_gan.programs.train import main

if __name__ == "__main__":
    run_program(main)
