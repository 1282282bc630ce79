"""Reading and writing files: atomic writes, images, HDF5, and typed values from JSON and TOML."""
