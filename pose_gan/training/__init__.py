"""Training (paper, Section 4): one iteration, the loop around it, checkpoints and the log."""
