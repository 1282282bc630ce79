"""Bytes on disk: files that appear whole, images, HDF5, and typed values out of JSON and TOML."""
