"""The programs that people run. Each module is one verb of `pose-gan`."""
