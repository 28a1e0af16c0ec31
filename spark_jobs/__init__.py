"""The batch jobs: one module `verb_noun` per step, each a function, a command and a `spark-submit` entry point."""
