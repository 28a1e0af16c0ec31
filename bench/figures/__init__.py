"""One module per figure; each has `NAME` and `measure(scale) -> Measurement`."""
