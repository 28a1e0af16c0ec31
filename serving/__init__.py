"""The chat service: an index of its own, retrieval behind the online gate, answers with citations."""
