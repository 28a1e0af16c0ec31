"""How documents, chunks and embeddings get their names: pure functions of what they are.

An id is the first 128 bits of a SHA-256, as 32 hexadecimal characters. Parts are joined through JSON, so no choice of
separators in a part can make two different things share an id.
"""

from __future__ import annotations

import hashlib
import json


def stable_hash(*parts: str | int) -> str:
    """Return 32 hexadecimal characters that depend on every part and on their order."""
    canonical = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def content_hash(content: bytes) -> str:
    """Return the full SHA-256 of bytes as received: the name of a landing object."""
    return hashlib.sha256(content).hexdigest()


def text_hash(text: str) -> str:
    """Return the identity of a text."""
    return stable_hash("text", text)


def document_id(source: str, source_uri: str) -> str:
    """Return the identity of one source item, whatever its content."""
    return stable_hash("document", source, source_uri)


def chunk_id(document_id: str, chunker_hash: str, text_hash: str, occurrence: int) -> str:
    """Return the identity of a chunk: it survives moves inside its document.

    `occurrence` counts, from 0, the chunks of the document that have the same text, in reading order.
    """
    return stable_hash("chunk", document_id, chunker_hash, text_hash, occurrence)


def embedding_key(text_hash: str, encoder_hash: str) -> str:
    """Return the identity of a vector: equal texts under one encoder share it, so each is encoded once.

    `encoder_hash` covers the model's weights, the embedding configuration and the dimension.
    """
    return stable_hash("embedding", text_hash, encoder_hash)
