"""Programs that measure how fast the package is: `python -m benchmarks --help`.

Each benchmark is a module with `run(options) -> list[Table]`. What is compared is measured in turns
in one process, so that other load on the machine meets all forms alike.
"""
