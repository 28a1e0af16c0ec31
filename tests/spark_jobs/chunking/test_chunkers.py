from __future__ import annotations

import pickle

import pytest

from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import load_settings
from spark_jobs.chunking.chunkers import chunker_recipe, make_chunker
from spark_jobs.chunking.structure import StructureChunker
from spark_jobs.chunking.words import WordChunker


def recipe(home, embedding=None, **chunking):
    return chunker_recipe(load_settings(home=home, chunking=chunking, embedding=embedding or {}))


def refused(home, embedding=None, **chunking):
    with pytest.raises(ConfigError) as raised:
        recipe(home, embedding, **chunking)
    return raised.value


def test_a_recipe_travels_to_a_worker_and_makes_the_chunker_it_names_there(home):
    there = pickle.loads(pickle.dumps(recipe(home)))
    assert isinstance(make_chunker(there), StructureChunker)

    there = pickle.loads(pickle.dumps(recipe(home, chunker="words", words=100)))
    [chunk] = make_chunker(there).chunk("document", "a few words", ())
    assert isinstance(make_chunker(there), WordChunker)
    assert chunk.text == "a few words"


def test_chunks_over_the_encoders_window_are_refused_and_both_limits_named(home):
    error = refused(home, chunker="words")

    assert error.got == "chunking.words 512"
    assert "at most 254" in str(error.wanted)
    assert "embedding.max_tokens 256" in str(error.wanted)
    assert refused(home, max_tokens=255).got == "chunking.max_tokens 255"
    assert refused(home, {"passage_prefix": "passage: "}, max_tokens=254).got == "chunking.max_tokens 254"


def test_the_narrowest_of_the_encoders_side_by_side_bounds_chunks(home):
    spaces = {"wide": {"max_tokens": 512}, "narrow": {"max_tokens": 128}}

    assert "at most 126" in str(refused(home, {"space": "wide", "spaces": spaces}).wanted)
    assert recipe(home, {"space": "wide", "spaces": {"wide": {"max_tokens": 512}}}, max_tokens=500).window == 510


def test_window_mean_takes_chunks_of_any_length(home):
    found = recipe(home, chunker="words", overflow="window_mean")

    assert found.window is None
    [chunk] = make_chunker(found).chunk("document", "antidisestablishmentarianism " * 500, ())
    assert chunk.token_count > 2_000


def test_another_chunker_another_limit_and_another_window_are_another_identity(home):
    ways = [{}, {"max_tokens": 229}, {"chunker": "words", "words": 200}, {"chunker": "words", "words": 201}]
    hashes = {recipe(home, **way).chunker_hash for way in ways}
    hashes.add(recipe(home, chunker="words", words=200, overflow="window_mean").chunker_hash)

    assert len(hashes) == 5
    # The word chunker's limits are nothing to the structure chunker: no document is cut anew for them.
    assert recipe(home, words=300).chunker_hash == recipe(home).chunker_hash


def test_an_unknown_chunker_a_pinned_version_and_an_endless_overlap_are_refused(home):
    assert "structure, words" in str(refused(home, chunker="semantic").wanted)
    assert refused(home, version="0").where == "chunking.version"
    assert refused(home, chunker="words", words=100, overlap_words=100).where == "chunking.overlap_words"
