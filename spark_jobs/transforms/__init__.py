"""Pure functions from DataFrames to DataFrames: they read no table and start no action."""
