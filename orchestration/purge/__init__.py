"""Purging a document: every trace of its text out of a home, part by part, and the proof of it."""
