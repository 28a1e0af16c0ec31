import pytest

from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.parse import parse
from spark_jobs.sources.mime import CSV, JSONL


def test_each_row_of_a_csv_file_is_a_block_that_names_its_columns():
    content = b'berth,ship,note\n1,Heron,"Said ""hello"",\nand left"\n2,,\n'
    assert parse(content, CSV, "a.csv").text == 'berth: 1\nship: Heron\nnote: Said "hello",\nand left\n\nberth: 2'


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_told_by_the_header(separator):
    content = f"berth{separator}ship\n1{separator}Gull, the old one\n".replace("Gull,", '"Gull,').replace("one", 'one"')
    assert parse(content.encode(), CSV, "a.csv").text == "berth: 1\nship: Gull, the old one"


def test_each_line_of_a_jsonl_file_is_a_block():
    content = b'{"berth": 1, "ship": {"name": "Gull"}}\n\n{"berth": 2, "ship": null}\n'
    assert parse(content, JSONL, "a.jsonl").text == 'berth: 1\nship: {"name": "Gull"}\n\nberth: 2'


@pytest.mark.parametrize(("content", "told"), [(b'{"a": 1}\n{broken', "line 2 is not JSON"), (b"[1]", "no object")])
def test_a_line_that_is_no_object_is_named(content, told):
    with pytest.raises(BadInputError, match=told):
        parse(content, JSONL, "a.jsonl")
