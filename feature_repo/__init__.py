"""A plain Feast repository: `feast apply` reads definitions.py and nothing else."""
