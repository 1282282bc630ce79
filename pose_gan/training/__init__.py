"""The losses at work (paper, Section 4): one iteration, the loop around it, checkpoints, the log."""
