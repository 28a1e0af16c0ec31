"""From retrieved passages to an answer with citations."""
