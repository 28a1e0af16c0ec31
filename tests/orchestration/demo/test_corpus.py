import pytest

from orchestration.demo.corpus import export
from orchestration.demo.questions import ANSWERABLE, UNANSWERABLE
from ragstone.text.words import words


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    export(folder, 620_000)
    return folder


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.*")}


def test_the_same_installation_exports_the_same_files(folder, tmp_path):
    export(tmp_path, 620_000)

    assert files_of(tmp_path) == files_of(folder)


def test_what_is_said_to_be_written_is_there(tmp_path):
    exported = export(tmp_path, 200_000)

    files = files_of(tmp_path)
    assert sum(exported.documents.values()) == len(files)
    assert sum(exported.characters.values()) == sum(map(len, files.values())) <= 200_000


@pytest.mark.parametrize("most", [100_000, 620_000])
def test_the_documents_of_the_five_questions_are_there_whatever_the_size(tmp_path, most):
    export(tmp_path, most)

    files = files_of(tmp_path)
    assert len(ANSWERABLE) == 5
    for question in ANSWERABLE:
        assert question.says in " ".join(files[question.source].split()), question.text


def test_the_question_without_an_answer_shares_its_words_with_the_documents(folder):
    known = {word for text in files_of(folder).values() for word in words(text)}

    asked = set(words(UNANSWERABLE))
    assert len(asked & known) >= 0.8 * len(asked)
