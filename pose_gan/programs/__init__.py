"""What people run: a verb of `pose-gan` a module."""
