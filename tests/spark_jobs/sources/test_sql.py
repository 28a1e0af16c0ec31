import pytest
from sqlalchemy import create_engine, text

from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from ragstone.runtime.source_settings import SqlSource
from tests.servers import postgres
from tests.spark_jobs.sources.looks import Looks

COLUMNS = {"id": "id", "text": ["body"], "title": "title", "metadata": ["team"]}
TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT, body TEXT, team TEXT, at TIMESTAMP, gone BOOLEAN)"


@pytest.fixture(scope="module")
def postgres_url():
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("LEFT OUT: there is no PostgreSQL on this machine, `apt-get install postgresql`")
    with postgres.server(programs) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """An engine on an empty database with a table `notes`."""
    url = f"sqlite:///{tmp_path}/notes.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = create_engine(url)
    do(engine, "DROP TABLE IF EXISTS notes", TABLE)
    yield engine
    engine.dispose()


def do(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def row(number, body="'A lamp.'", at=1, gone="false"):
    return f"INSERT INTO notes VALUES ({number}, 'Note {number}', {body}, 'ops', '2026-01-01 00:00:0{at}', {gone})"


def looks(engine, tmp_path, **changes):
    url = engine.url.render_as_string(hide_password=False)
    facts = {"query": "SELECT * FROM notes", "records": COLUMNS, **changes}
    return Looks(SqlSource(kind="sql", url=url, **facts), tmp_path)


def test_every_row_is_a_document_and_only_what_differs_changes(database, tmp_path):
    do(database, row(1), row(2), row(3))
    whole = looks(database, tmp_path)
    assert whole.changes() == {"1": "fetched", "2": "fetched", "3": "fetched"}
    assert whole.content("1") == b'{"text":"A lamp.","title":"Note 1"}'
    assert whole.look().unchanged == 3

    do(database, "UPDATE notes SET body = 'A bell.' WHERE id = 2", "DELETE FROM notes WHERE id = 3", row(4))
    assert whole.changes() == {"2": "fetched", "3": "vanished", "4": "fetched"}
    do(database, "UPDATE notes SET team = 'sales' WHERE id = 1")
    assert whole.changes() == {"1": "metadata"}


def test_incrementally_only_rows_at_or_past_the_greatest_value_are_read(database, tmp_path):
    do(database, row(1, at=1), row(2, at=2))
    increment = looks(database, tmp_path, incremental="at", deleted="gone")
    assert increment.changes() == {"1": "fetched", "2": "fetched"}
    edits = (f"UPDATE notes SET body = 'edited' WHERE id = {number}" for number in (1, 2))
    do(database, row(3, at=2), row(4, at=3), *edits)

    found = increment.look()
    # The second row was edited within the greatest value; the first is past looking at until its value moves.
    assert {envelope.source_uri for envelope in found.envelopes} == {"2", "3", "4"}
    assert found.items == 3
    do(database, "UPDATE notes SET at = '2026-01-01 00:00:09' WHERE id = 1")
    assert increment.changes() == {"1": "fetched"}


def test_incrementally_nothing_vanishes_but_what_its_row_calls_deleted(database, tmp_path):
    do(database, row(1, at=1), row(2, at=2))
    increment = looks(database, tmp_path, incremental="at", deleted="gone")
    increment.look()
    do(
        database,
        "DELETE FROM notes WHERE id = 1",
        "UPDATE notes SET gone = true, at = '2026-01-01 00:00:05' WHERE id = 2",
    )
    assert increment.changes() == {"2": "vanished"}
    assert increment.changes() == {}


@pytest.mark.parametrize("column", ["id", "title"])
def test_numbers_and_texts_are_increments_too(database, tmp_path, column):
    do(database, *(row(number) for number in (2, 9, 5)))
    increment = looks(database, tmp_path, incremental=column)
    increment.look()
    do(database, row(10), row(99))
    # As texts, "Note 10" comes before "Note 9".
    assert set(increment.changes()) == ({"10", "99"} if column == "id" else {"99"})


def test_a_bad_row_is_refused_by_name_and_its_neighbours_arrive(database, tmp_path):
    do(database, row(1), row(2, body="NULL"), row(3, body=f"'{'x' * 200}'"))
    whole = looks(database, tmp_path, records={**COLUMNS, "id": "title"})
    whole.max_item_bytes = 100
    found = whole.look()
    assert [envelope.source_uri for envelope in found.envelopes] == ["Note 1"]
    reasons = {rejection.item_key: rejection.reason for rejection in found.rejections}
    assert "no text" in reasons["Note 2"]
    assert "too large" in reasons["Note 3"]
    do(database, "UPDATE notes SET title = NULL WHERE id = 1")
    assert any("has no title" in rejection.reason for rejection in whole.look().rejections)


@pytest.mark.parametrize("query", ["DELETE FROM notes RETURNING *", "DROP TABLE notes"])
def test_a_query_leaves_the_database_as_it_was(database, tmp_path, query):
    do(database, row(1))
    with pytest.raises(ConfigError):
        looks(database, tmp_path, query=query).look()
    assert looks(database, tmp_path / "again").look().items == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"query": "SELECT id FROM notes"}, "without body, team, title"),
        ({"incremental": "changed"}, "changed"),
        ({"query": "SELEC * FROM notes"}, "SELEC"),
    ],
)
def test_a_wrong_query_names_the_source_and_nothing_changes(database, tmp_path, changes, told):
    do(database, row(1))
    with pytest.raises(ConfigError, match=told) as refused:
        looks(database, tmp_path, **changes).look()
    assert "notes" in refused.value.what


class TestWhatIncrementsForget:
    def test_rows_without_a_value_are_asked_for_at_each_look_and_hide_no_other(self, database, tmp_path):
        do(database, row(1), row(2), "UPDATE notes SET at = NULL WHERE id = 1")
        increment = looks(database, tmp_path, incremental="at")
        increment.look()
        do(database, row(3, at=4), "UPDATE notes SET body = 'edited' WHERE id = 1")
        assert increment.changes() == {"1": "fetched", "3": "fetched"}

    @pytest.mark.parametrize(
        "changes",
        [
            {"records": {**COLUMNS, "text": ["body", "team"]}},
            {"query": "SELECT id, title, body || '.' AS body, team, at FROM notes"},
        ],
    )
    def test_every_row_is_read_anew_once_it_would_become_something_else(self, database, tmp_path, changes):
        do(database, row(1, at=1), row(2, at=2))
        increment = looks(database, tmp_path, incremental="at")
        increment.look()
        increment.source = looks(database, tmp_path, incremental="at", **changes).source
        assert increment.changes() == {"1": "fetched", "2": "fetched"}
        assert increment.look().items == 1

    def test_another_column_begins_anew(self, database, tmp_path):
        do(database, row(1, at=2), row(2, at=1))
        increment = looks(database, tmp_path, incremental="id")
        increment.look()
        increment.source = looks(database, tmp_path, incremental="at").source
        assert increment.look().items == 2
        assert increment.look().items == 1

    def test_rows_that_were_too_large_come_when_more_is_allowed(self, database, tmp_path):
        do(database, row(1, at=1, body=f"'{'x' * 200}'"), row(2, at=2))
        increment = looks(database, tmp_path, incremental="at")
        increment.max_item_bytes = 100
        assert [rejection.item_key for rejection in increment.look().rejections] == ["1"]
        increment.max_item_bytes = 1_000
        assert increment.changes()["1"] == "fetched"

    def test_who_may_read_changes_for_rows_that_are_not_asked_for(self, database, tmp_path):
        do(database, row(1, at=1), row(2, at=2), row(3, at=3))
        increment = looks(database, tmp_path, incremental="at")
        increment.look()
        do(database, "DELETE FROM notes WHERE id = 1")
        increment.source = increment.source.model_copy(update={"acl": ("staff",)})
        assert increment.changes() == {"1": "access", "2": "access", "3": "access"}
        assert increment.changes() == {}


@pytest.mark.parametrize(
    ("kind", "values"), [("REAL", (9.5, 10.5)), ("NUMERIC(20, 3)", (9.25, 10.125)), ("DATE", None)]
)
def test_increments_are_compared_as_what_they_are(database, tmp_path, kind, values):
    first, second = values or ("'2026-01-09'", "'2026-01-10'")
    added = (f"INSERT INTO ranked VALUES ({number}, 'A.', {at})" for number, at in ((1, second), (2, first)))
    do(database, "DROP TABLE IF EXISTS ranked", f"CREATE TABLE ranked (id INTEGER, body TEXT, at {kind})", *added)
    columns = {"id": "id", "text": ["body"]}
    increment = looks(database, tmp_path, query="SELECT * FROM ranked", records=columns, incremental="at")
    assert (increment.look().items, increment.look().listed) == (2, {"1"})


def test_a_column_that_cannot_be_an_increment_is_told_of(database, tmp_path):
    do(database, row(1))
    query = "SELECT notes.*, CAST('ab' AS BYTEA) AS mark FROM notes"
    query = query.replace("BYTEA", "BLOB") if database.dialect.name == "sqlite" else query
    with pytest.raises(ConfigError, match="bytes in mark"):
        looks(database, tmp_path, query=query, incremental="mark").look()


def test_of_rows_with_one_id_the_first_is_the_document(database, tmp_path):
    do(database, row(1), row(2, body="'A bell.'"))
    whole = looks(database, tmp_path, query="SELECT * FROM notes ORDER BY id", records={**COLUMNS, "id": "team"})
    found = whole.look()
    assert [(envelope.source_uri, envelope.change) for envelope in found.envelopes] == [("ops", "fetched")]
    assert "came before" in found.rejections[0].reason
    again = whole.look()
    assert (again.envelopes, again.rejections[0].item_key) == ([], found.rejections[0].item_key)


def test_a_colon_in_a_query_is_part_of_it(database, tmp_path):
    do(database, row(1))
    query = "SELECT id, title, body || ' :lamp' AS body, team, at FROM notes WHERE at > '2025-12-31 10:30:00'"
    noted = looks(database, tmp_path, query=query, incremental="at")
    noted.look()
    assert noted.content("1") == b'{"text":"A lamp. :lamp","title":"Note 1"}'
    assert noted.look().items == 1


def test_a_deleted_row_vanishes_whatever_else_is_in_it(database, tmp_path):
    do(database, row(1), row(2))
    whole = looks(database, tmp_path, deleted="gone")
    whole.max_item_bytes = 100
    whole.look()
    do(database, "UPDATE notes SET gone = true, body = NULL WHERE id = 1")
    do(database, f"UPDATE notes SET gone = true, body = '{'x' * 200}' WHERE id = 2")
    assert whole.changes() == {"1": "vanished", "2": "vanished"}


def test_many_rows_come_in_batches(database, tmp_path):
    do(database, *(row(number) for number in range(1, 8)))
    assert looks(database, tmp_path, batch_rows=2).look().new == 7


def test_a_driver_that_is_not_there_is_named(tmp_path):
    source = SqlSource(kind="sql", url="mysql://me:hidden@127.0.0.1/db", query="SELECT 1", records=COLUMNS)
    with pytest.raises(ConfigError, match="MySQLdb") as refused:
        Looks(source, tmp_path).look()
    assert "hidden" not in str(refused.value)


def test_a_database_that_is_not_there_is_told_of_without_its_password(tmp_path):
    source = SqlSource(
        kind="sql", url="postgresql+psycopg://me:hidden@127.0.0.1:9/db", query="SELECT 1 AS id", records=COLUMNS
    )
    with pytest.raises(DependencyUnavailableError) as refused:
        Looks(source, tmp_path).look()
    assert "hidden" not in str(refused.value)
    assert "127.0.0.1:9" in str(refused.value)


def test_the_address_may_be_a_secret(database, tmp_path, monkeypatch):
    do(database, row(1))
    monkeypatch.setenv("NOTES_DATABASE", database.url.render_as_string(hide_password=False))
    source = SqlSource(kind="sql", url="env:NOTES_DATABASE", query="SELECT * FROM notes", records=COLUMNS)
    assert Looks(source, tmp_path).look().new == 1


def test_incrementally_a_look_tells_only_of_the_rows_it_listed(database, tmp_path):
    do(database, row(1, at=1, body="NULL"), row(2, at=2))
    increment = looks(database, tmp_path, incremental="at")
    assert increment.look().tells_of("1")
    later = increment.look()
    assert (later.tells_of("1"), later.tells_of("2")) == (False, True)
    assert looks(database, tmp_path).look().tells_of("anything")
