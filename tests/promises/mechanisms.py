"""What keeps each promise, taken out: each function patches one mechanism away."""

from __future__ import annotations

import contextlib
import socket

import pytest

from ragstone.embedding.load import load_embedder
from ragstone.features import access, point_in_time, training
from ragstone.features import materialize as materialize_step
from ragstone.features.marker import NO_MARKER
from serving.index import build, gates, snapshot
from serving.index.files import MANIFEST_FILE, sha256_of
from serving.index.pointer import Pointer, write_pointer
from serving.retrieval import retriever
from spark_jobs import documents_by_workers, documents_here
from spark_jobs.sources import scan
from tests.network_guard.outside import OUTSIDE, PORT

Patch = pytest.MonkeyPatch


def compare_nothing_with_the_served_index(patch: Patch) -> None:
    """Promise 1: every run builds an index anew."""
    patch.setattr(build, "_served", lambda _settings: None)
    patch.setattr(build, "_left_by_killed_run", lambda _settings, _source: None)


def forget_what_was_materialized(patch: Patch) -> None:
    """Promise 1: every run applies and materializes."""
    patch.setattr(materialize_step, "_marker", lambda _settings: NO_MARKER)


def take_every_item_for_changed(patch: Patch) -> None:
    """Promise 1: every run lands everything."""
    taken = scan._taken

    def forget(connector, landing, item, _before, content):
        return taken(connector, landing, item, None, content)

    patch.setattr(scan, "_taken", forget)


def lose_rejected_items(patch: Patch) -> None:
    """Promise 2: what is rejected is neither quarantined nor counted."""
    add = scan.SourceScan.add

    def lose(found, outcome):
        if outcome.rejection is None:
            add(found, outcome)

    patch.setattr(scan.SourceScan, "add", lose)


def publish_while_building(patch: Patch) -> None:
    """Promise 3: what is served changes before the run has ended."""
    make = build._build

    def make_and_point(settings, run_id, known_by):
        manifest = make(settings, run_id, known_by)
        digest = sha256_of(settings.index_root / manifest.version / MANIFEST_FILE)
        write_pointer(settings.index_root, Pointer(version=manifest.version, manifest_sha256=digest, held_back=None))
        return manifest

    patch.setattr(build, "_build", make_and_point)


def forget_known_chunks(patch: Patch) -> None:
    """Promise 3: a rerun does not look at what the killed run had written."""
    for readers in (documents_here, documents_by_workers):
        patch.setattr(readers, "known_chunks", lambda _root, _document_ids: {})


def publish_before_verifying(patch: Patch) -> None:
    """Promise 4: the gates of an index are not asked."""
    patch.setattr(gates, "judge", lambda _candidate: ())


def trust_checksums(patch: Patch) -> None:
    """Promise 4: readers do not hold an index against its manifest."""
    patch.setattr(snapshot, "_check_sum", lambda _path, _wanted: None)


def open_the_gate(patch: Patch) -> None:
    """Promise 5: every hit passes."""
    patch.setattr(retriever, "judge", lambda *_facts: None)


def encode_questions_otherwise(patch: Patch) -> None:
    """Promise 6: questions get a prefix that chunks did not have."""
    patch.setattr(retriever, "normalise", lambda text: f"query: {text}")


def name_another_encoder_in_health(patch: Patch) -> None:
    """Promise 6: health tells of an encoder that is not the one that is used."""
    from serving import services

    check = services.Services.check
    patch.setattr(services.Services, "check", lambda self: check(self).model_copy(update={"encoder_hash": "another"}))


def see_the_future(patch: Patch) -> None:
    """Promise 7: the newest row joins, whatever the label's time."""
    newest = point_in_time._newest

    def newest_of_all(join, rows, time_column):
        return newest(join, rows, time_column).replace(f"epoch_us({point_in_time._quoted(time_column)})", str(2**62))

    patch.setattr(point_in_time, "_newest", newest_of_all)
    patch.setattr(training, "_check_no_leak", lambda _table, _views: None)


def delete_in_the_lake_alone(patch: Patch) -> None:
    """Promise 8: a delete is landed and in the lake, but not online."""
    patch.setattr(access, "write_access_online", lambda _settings, _rows: None)


def delete_online_alone(patch: Patch) -> None:
    """Promise 8: a delete is online, but neither landed nor in the lake."""
    patch.setattr(access, "append_rows", lambda *_row: 0)
    patch.setattr(access.LandingZone, "append_batch", _batch_that_is_not_written)


def take_deleted_items_in_again(patch: Patch) -> None:
    """Promise 8: ingest looks at the item of a deleted document as if it were new."""
    compare = scan._compare

    def forget(*given):
        *rest, before = given
        deleted = before is not None and before.change == "deleted"
        return compare(*rest, None if deleted else before)

    patch.setattr(scan, "_compare", forget)


def _batch_that_is_not_written(landing, envelopes, run_id=None):
    from ragstone.lake.landing import LandingBatch

    return LandingBatch(landing.last_batch() + 1, run_id or "run", tuple(envelopes))


def stop_at_bad_input(patch: Patch) -> None:
    """Promise 9: the first bad item ends the run."""
    patch.setattr(scan, "BadInputError", ZeroDivisionError)


def phone_home(patch: Patch) -> None:
    """Promise 10: the encoder reports its use to an address outside, and swallows the error."""
    encoder = type(_current_embedder())
    encode = encoder._encode

    def report(self, texts, prefix):
        with contextlib.suppress(OSError):
            socket.create_connection((OUTSIDE, PORT), timeout=1).close()
        return encode(self, texts, prefix)

    patch.setattr(encoder, "_encode", report)


def _current_embedder():
    from ragstone.runtime.settings import load_settings

    return load_embedder(load_settings())
