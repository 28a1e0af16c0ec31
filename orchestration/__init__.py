"""Above the applications: the pipeline as data, its runner, the command line and the demo."""
