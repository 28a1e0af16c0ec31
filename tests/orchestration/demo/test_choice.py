import pytest

from orchestration.demo.choice import choose, one_line
from orchestration.demo.stage import DemoError, Stage
from ragstone.contracts.identity import document_id
from ragstone.contracts.tables import SILVER_DOCUMENTS
from tests.factories import DAY_ZERO, write_rows

SHARED = "Every document of this collection ends with the very same sentence as all the others."


def always(chosen):
    return True


def document(name, text):
    times = {"event_timestamp": DAY_ZERO, "created_timestamp": DAY_ZERO}
    return {
        **dict.fromkeys(SILVER_DOCUMENTS.column_names),
        "document_id": document_id("python", name),
        "source_uri": name,
        "text": text,
        "content_hash": "00",
        "active": True,
        "run_id": "r",
        **times,
    }


@pytest.fixture
def stage(settings):
    names = ["topics/a.txt", "topics/b.txt", "topics/c.txt", "readmes/d.md", "topics/del.txt"]
    rows = [
        document(
            name,
            f"Keepers of lighthouse {number} count\nthe ships that pass it twice every winter evening. {SHARED * 40}",
        )
        for number, name in zip(("one", "two", "three", "four", "five"), names, strict=True)
    ]
    rows.append(document("topics/e.txt", SHARED))
    write_rows(settings.lake_root, SILVER_DOCUMENTS, rows)
    for row in rows:
        path = settings.home / row["source_uri"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(row["text"].replace(" of ", "\n   of "))
    return lambda seed: Stage(settings, settings.home, "key", seed)


def test_a_seed_always_chooses_the_same_and_seeds_differ(stage):
    assert choose(stage(7), always) == choose(stage(7), always)
    assert len({choose(stage(seed), always) for seed in range(12)}) > 3


def test_two_documents_are_chosen_by_a_sentence_that_only_they_have(stage):
    for seed in range(12):
        edited, deleted = choose(stage(seed), always)

        assert edited.document != deleted.document
        assert edited.document.source_uri.endswith(".txt")
        for chosen in (edited, deleted):
            assert chosen.sentence.startswith("Keepers of lighthouse")
            assert chosen.sentence in chosen.document.text
            assert one_line(chosen.sentence) in chosen.question


def test_documents_the_five_questions_need_and_repeats_are_never_chosen(stage):
    chosen = {each.document.source_uri for seed in range(30) for each in choose(stage(seed), always)}

    assert chosen == {"topics/a.txt", "topics/b.txt", "topics/c.txt", "readmes/d.md"}


def test_a_sentence_is_found_where_the_files_lines_are_broken_elsewhere(stage):
    edited, _ = choose(stage(1), always)

    assert edited.place_in(edited.document.text.replace(" of ", "\n    of "))
    assert edited.place_in(SHARED) is None


def test_a_document_that_its_sentence_does_not_find_is_passed_over(stage):
    _, first = choose(stage(3), always)

    for chosen in choose(stage(3), lambda chosen: chosen != first):
        assert chosen != first


def test_a_corpus_of_repeats_is_refused(settings):
    write_rows(settings.lake_root, SILVER_DOCUMENTS, [document("a.txt", SHARED), document("b.txt", SHARED)])

    with pytest.raises(DemoError, match="its own sentence"):
        choose(Stage(settings, settings.home, "key", 1), always)
