"""From a question to the passages that may answer it: search, gate, refill, and whether they can answer at all."""
