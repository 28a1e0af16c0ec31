from serving.generation.extractive import extract
from tests.serving.hits import make_hit


def idf(word):
    return 0.01 if word in ("the", "a", "of", "is") else 1.0


def quotes(question, *hits):
    draft = extract(question, hits, idf)
    return [citation.quote for citation in draft.citations]


def test_the_two_best_sentences_are_quoted_best_first():
    first = make_hit("Moss is soft. Iron of the gate is red.", rank=1, score=0.9)
    second = make_hit("Red iron gate hinges squeak.", rank=2, score=0.8)

    draft = extract("red iron gate hinges", [first, second], idf)

    assert draft.text == "“Red iron gate hinges squeak.” [1] “Iron of the gate is red.” [2]"
    assert [citation.chunk_id for citation in draft.citations] == [second.chunk.chunk_id, first.chunk.chunk_id]


def test_a_second_sentence_far_below_the_first_is_left_out():
    assert quotes("red iron gate", make_hit("The red iron gate. The moss is soft.")) == ["The red iron gate."]


def test_a_sentence_that_overlapping_chunks_share_is_quoted_once():
    one, two = make_hit("Red iron gate. Moss."), make_hit("Fern. Red iron  gate.", rank=2, score=0.4)

    assert quotes("red iron gate", one, two) == ["Red iron gate."]


def test_never_more_than_two_sentences():
    hits = [make_hit(f"Red gate number {number}.", number) for number in range(1, 5)]

    assert len(quotes("red gate", *hits)) == 2


def test_the_span_of_a_quote_is_where_it_stands_in_the_document():
    draft = extract("red gate", [make_hit("Moss is soft. Red gate.", char_start=50)], idf)

    assert (draft.citations[0].char_start, draft.citations[0].char_end) == (64, 73)


def test_nothing_is_quoted_that_shares_no_word_with_the_question():
    assert extract("quantum", [make_hit("Moss is soft.")], idf) is None
    assert extract("quantum", [], idf) is None
