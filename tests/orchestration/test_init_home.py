import pytest

from orchestration.init_home import add_source, survey
from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import load_settings


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "Team Notes"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("# A\n\nText.\n")
    (folder / "sub/b.txt").write_text("Text.\n")
    (folder / "sub/c.zip").write_bytes(b"PK")
    (folder / ".hidden.txt").write_text("hidden")
    return folder


def test_a_source_is_written_into_the_homes_conf(settings, folder):
    added = add_source(settings, folder, None, ("staff",))

    read = load_settings(home=settings.home).sources
    assert added.name == "team_notes"
    assert (read["team_notes"].root, read["team_notes"].acl) == (folder, ("staff",))


def test_settings_already_there_are_kept(settings, folder):
    (settings.home / "conf.yaml").write_text("serving: {top_k: 7}\n")

    add_source(settings, folder, "notes", ("public",))

    assert load_settings(home=settings.home).serving.top_k == 7


def test_adding_the_same_folder_again_changes_nothing(settings, folder):
    add_source(settings, folder, "notes", ("public",))
    before = (settings.home / "conf.yaml").read_bytes()

    add_source(settings, folder, "notes", ("staff",))

    assert (settings.home / "conf.yaml").read_bytes() == before


def test_a_name_that_stands_for_another_folder_is_refused(settings, folder, tmp_path):
    add_source(settings, folder, "notes", ("public",))

    with pytest.raises(UsageError, match="another folder"):
        add_source(settings, tmp_path, "notes", ("public",))


def test_a_folder_around_the_home_leaves_the_home_out(settings, tmp_path):
    (settings.home / "inside.txt").write_text("state, no document")
    (tmp_path / "outside.txt").write_text("a document")

    added = add_source(settings, tmp_path, "all", ("public",))

    found = survey(load_settings(home=settings.home), added.name)
    assert found.taken == {".txt": 1}


@pytest.mark.parametrize("place", ["missing", "home/sub"])
def test_what_is_no_folder_of_documents_is_refused(settings, tmp_path, place):
    (settings.home / "sub").mkdir()

    with pytest.raises(UsageError):
        add_source(settings, tmp_path / place, None, ("public",))


def test_the_survey_counts_what_the_connector_takes_and_leaves(settings, folder):
    add_source(settings, folder, "notes", ("public",))

    found = survey(load_settings(home=settings.home), "notes")

    assert found.taken == {".md": 1, ".txt": 1}
    assert found.left == {".zip": 1}
    assert found.taken_bytes == len("# A\n\nText.\n") + len("Text.\n")


def test_init_says_what_it_found_without_running(command, folder):
    told = command("--json", "init", folder, "--no-run")

    assert told.code == 0
    assert told.document["found"]["taken"] == {".md": 1, ".txt": 1}
    assert told.document["steps"] == []
