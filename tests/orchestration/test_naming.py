import pytest

from orchestration.naming import find_document
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import NotFoundError, UsageError
from ragstone.runtime.settings import load_settings
from tests.factories import make_envelope


@pytest.fixture
def landed(settings, tmp_path):
    envelopes = [make_envelope(name) for name in ("guide.md", "old/guide.md", "old/faq.md")]
    LandingZone(settings.landing_root).append_batch(envelopes)
    (settings.home / "conf.yaml").write_text(f"sources: {{notes: {{root: {tmp_path}}}}}\n")
    return {envelope.source_uri: envelope.document_id for envelope in envelopes}, load_settings(home=settings.home)


def test_a_document_is_found_by_id_address_end_and_path(landed, tmp_path):
    ids, settings = landed
    wanted = ids["old/faq.md"]

    for name in (wanted, "old/faq.md", "faq.md", str(tmp_path / "old/faq.md")):
        assert find_document(settings, name).document_id == wanted


def test_a_whole_address_wins_over_the_end_of_another(landed):
    ids, settings = landed

    assert find_document(settings, "guide.md").document_id == ids["guide.md"]


def test_an_end_that_several_share_is_refused_with_their_names(landed):
    _, settings = landed
    LandingZone(settings.landing_root).append_batch([make_envelope("new/faq.md")])

    with pytest.raises(UsageError) as refused:
        find_document(settings, "faq.md")
    assert "new/faq.md" in str(refused.value.wanted)


def test_half_a_file_name_is_no_name(landed):
    with pytest.raises(NotFoundError):
        find_document(landed[1], "aq.md")
