"""Where documents come from: one connector per kind of source, and how bytes are told to be text."""
