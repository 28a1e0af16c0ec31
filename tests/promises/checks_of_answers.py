"""Promises 4, 5, 6 and 8: what may be served, and what may not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import httpx2
import numpy as np
import pytest

from ragstone.contracts.records import Principal
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.embedding.load import embedding_spec
from ragstone.features import redis_layout
from ragstone.features.access import delete_document
from ragstone.lake import read
from ragstone.runtime.errors import IndexGateError, IndexIncompatibleError
from ragstone.runtime.redis_server import online_client
from serving.index import build, matrix
from serving.index.snapshot import open_current
from tests.promises.company import ANYONE, DIRECTOR, Company
from tests.promises.keeping import promised
from tests.serving.world import served

_KILN = "What wood was the old kiln fired with?"


def check_index_gate(company: Company) -> None:
    """Promise 4: no index goes live unless its gate passed, and readers refuse a broken one."""
    before = company.snapshot.manifest.version
    delete_document(company.settings, company.document_id("ferry.md"), requested_by="the check")
    with pytest.MonkeyPatch.context() as patch:
        _swap_two_vectors(patch)
        with contextlib.suppress(IndexGateError):
            build.run(company.settings, "run-with-wrong-vectors")
    promised(company.snapshot.manifest.version == before, "an index whose vectors are not the lake's went live")
    vectors = company.settings.index_root / before / "vectors.faiss"
    content = bytearray(vectors.read_bytes())
    content[len(content) // 2] ^= 1
    vectors.write_bytes(content)
    try:
        open_current(company.settings)
    except IndexIncompatibleError:
        return
    promised(False, "a reader took an index that differs from its manifest")


def _swap_two_vectors(patch: pytest.MonkeyPatch) -> None:
    fill = matrix.fill_matrix

    def fill_wrongly(root, space, rows, filled):
        fill(root, space, rows, filled)
        filled[[0, 1]] = filled[[1, 0]]

    patch.setattr(matrix, "fill_matrix", fill_wrongly)


def check_gate(company: Company) -> None:
    """Promise 5: every served chunk passed the online gate at the time of the question; the rest is counted."""
    hit = company.retrieve(_KILN).hits[0]
    chunk, document = hit.chunk.chunk_id, hit.document.document_id
    spoilt: list[tuple[str, Callable[[], None]]] = [
        ("inactive", lambda: _set_online(company, "chunk_id", chunk, "chunk_metadata", "chunk_active", False)),
        ("text_changed", lambda: _set_online(company, "chunk_id", chunk, "chunk_metadata", "chunk_text_hash", "other")),
        (
            "document_inactive",
            lambda: _set_online(company, "document_id", document, "document_access", "document_active", False),
        ),
        ("forbidden", lambda: _set_online(company, "document_id", document, "document_access", "acl", ["board"])),
        ("forbidden", lambda: _set_online(company, "document_id", document, "document_access", "acl", [])),
        ("forbidden", lambda: _set_online(company, "document_id", document, "document_access", "acl", [""])),
        ("absent", lambda: _remove_online(company, "chunk_id", chunk)),
    ]
    for reason, spoil in spoilt:
        company.run("materialize", "materialize")
        sound = _online_copy(company)
        spoil()
        found = company.retrieve(_KILN)
        promised(chunk not in {other.chunk.chunk_id for other in found.hits}, f"a chunk was served though {reason}")
        promised(
            reason in {drop.reason for drop in found.drops if drop.chunk_id == chunk}, f"no drop counted as {reason}"
        )
        promised(len(found.hits) == 4, "a dropped hit was not replaced by the next one")
        _put_online(company, sound)
    promised("parrot" not in company.texts("What is the payroll password hint?", ANYONE), "a forbidden text was served")
    promised(
        "parrot" in company.texts("What is the payroll password hint?", DIRECTOR), "a permitted text was kept back"
    )
    nobody = Principal("nobody", frozenset({""}))
    promised(not company.retrieve(_KILN, nobody).hits, "an empty group reads something")


def check_one_encoder(company: Company) -> None:
    """Promise 6: questions and chunks are encoded by one function, whose hash is in table, manifest and health."""
    chunks = read.state(company.settings.lake_root, SILVER_CHUNKS, columns=("chunk_id", "text")).to_pylist()
    for chunk in chunks:
        scores = {hit.chunk.chunk_id: hit.score for hit in company.retrieve(chunk["text"], DIRECTOR).hits}
        score = scores.get(chunk["chunk_id"], -1.0)
        promised(np.isclose(score, 1.0, atol=1e-5), f"a question equal to a chunk scores {score} with it, not 1")
    wanted = embedding_spec(company.settings).encoder_hash
    promised(company.snapshot.manifest.encoder_hash == wanted, "the manifest names another encoder")
    with served(company.settings) as client:
        health = client.get("/health/ready").json()
    promised(health.get("encoder_hash") == wanted, f"health names encoder {health.get('encoder_hash')}, not {wanted}")


def check_delete(company: Company, meanwhile: Callable[[Company], object]) -> None:
    """Promise 8: a deleted document is not answered from at the next question, whatever runs in between."""
    with served(company.settings) as client:
        promised("beech" in _answer(client), "the document was not answered from before it was deleted")
        delete_document(company.settings, company.document_id("kiln.md"), requested_by="the check")
        meanwhile(company)
        answer = _answer(client)
        promised("beech" not in answer, f"a deleted document was answered from: {answer}")
    promised("beech" not in company.texts(_KILN), "a deleted document was retrieved")


def _answer(client: httpx2.Client) -> str:
    return client.post("/chat", json={"session_id": None, "user": _KILN}).raise_for_status().text


def _set_online(company: Company, join_key: str, key: str, view: str, feature: str, value: object) -> None:
    with online_client(company.settings) as client:
        name = redis_layout.entity_key(company.settings.feast.project, join_key, key)
        client.hset(name, redis_layout.feature_field(view, feature), redis_layout.encode(value))


def _remove_online(company: Company, join_key: str, key: str) -> None:
    with online_client(company.settings) as client:
        client.delete(redis_layout.entity_key(company.settings.feast.project, join_key, key))


def _online_copy(company: Company) -> dict[bytes, bytes]:
    return company.redis_content()


def _put_online(company: Company, content: dict[bytes, bytes]) -> None:
    with online_client(company.settings) as client:
        for key, value in content.items():
            client.restore(key, 0, value, replace=True)
