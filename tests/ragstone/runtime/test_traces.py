"""What a text leaves behind: found again however it was cut or spelt, and kept as hashes alone."""

from __future__ import annotations

import json

from ragstone.runtime.traces import Traces, leaves

TEXT = "Glazes were mixed from river clay and ash. Potters called the green one heron glaze."


def _of(*texts: str) -> Traces:
    traces = Traces()
    for text in texts:
        traces.learn(text)
    return traces


def test_a_passage_is_found_however_it_was_cut_and_spelt():
    traces = _of(TEXT)
    assert traces.match("it said: MIXED from\nriver  clay, and so on")
    assert traces.match(json.dumps({"quote": "called the green one heron"}))
    assert not traces.match("from river clay and something else")
    assert not traces.match("clay river and ash mixed")


def test_titles_and_addresses_are_found_whole_and_single_words_never():
    traces = _of("The kiln", "kiln.md", "Bees")
    assert traces.match("/home/notes/kiln.md")
    assert traces.match("in The Kiln, 1911")
    assert not traces.match("a kiln")
    assert not traces.match("Bees")
    assert len(_of("Bees", "", "...")) == 0


def test_what_another_text_has_too_is_no_trace():
    traces = _of(TEXT)
    assert traces.forget("They called the green one heron and no more")
    assert not traces.match("called the green one heron")
    assert traces.match("the green one heron glaze")
    assert not traces.forget("Nothing of that.")


def test_traces_come_back_from_json_and_hold_no_word():
    traces = _of(TEXT, "kiln.md")
    kept = json.dumps(traces.as_json())
    assert not any(word in kept for word in ("river", "heron", "kiln"))
    back = Traces.from_json(json.loads(kept))
    assert back == traces
    assert back.match(TEXT)
    assert _of(TEXT).as_json()["runs"] != traces.as_json()["runs"]


def test_every_text_in_a_value_is_looked_at():
    value = {"a": ["b", ("c", None, 4)], "d": [{"e": b"f"}]}
    assert sorted(leaves(value)) == ["a", "b", "c", "d", "e", "f"]
    assert list(leaves(b"\xff heron")) == ["\ufffd heron"]


def test_lengths_around_a_stored_text_do_not_hide_it():
    traces = _of(TEXT, "kiln.md")
    assert list(traces.stored_runs(b"\x00\x3626mixed from river clay and ash8\xff"))
    assert list(traces.stored_runs(b"\x12\x07skiln.md8a\x00"))
    assert not traces.match(b"skiln.md8a".decode())
    assert not list(traces.stored_runs(b"mixed from river clay bread"))
