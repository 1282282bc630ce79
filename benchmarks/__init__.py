"""Programs that measure how fast the package is: `python -m benchmarks --help`.

Each benchmark is a module with `run(options) -> list[Table]`. Forms that are compared are measured in turns
in one process, so that other load on the machine affects all forms equally.
"""
