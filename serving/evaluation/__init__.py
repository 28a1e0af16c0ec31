"""Judging retrieval by a folder in BEIR form: documents, questions, judgements, through the ordinary pipeline."""
