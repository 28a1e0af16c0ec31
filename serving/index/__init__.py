"""The vector index: built from the offline store, verified, published by one flip, read by memory map."""
