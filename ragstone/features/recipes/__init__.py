"""Training sets made of what was asked, shown and judged: one module per recipe."""
