"""The parts of the fuzzer `tests/fuzz.py`: the files that it damages, how, and the readers that get them."""
