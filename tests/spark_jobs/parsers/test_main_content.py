import subprocess
import sys

import pytest

from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.parse import parse
from spark_jobs.sources.mime import CRAWLED

LONG = "The red lamp glows while the pump is under pressure, and goes out when the pressure falls below two bar. "
MENU = '<nav><ul><li><a href="/">Home</a><li><a href="/shop">Shop</a></ul></nav>'
FOOTER = "<footer><p>Copyright 2026 Acme. All rights reserved.</p></footer>"
BANNER = '<div class="cookie-banner"><p>We use cookies to improve your experience.</p></div>'


def crawled(main, head="<title>Lamps | Acme</title>"):
    body = f"{MENU}{BANNER}<main>{main}</main>{FOOTER}"
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'
    return parse(page.encode(), CRAWLED, "http://docs.test/guide/lamps.html")


def test_the_main_content_is_kept_and_what_stands_around_it_is_left_out():
    document = crawled(
        f"<h1>Lamps</h1><p>{LONG}</p><h2>Steps</h2><ol><li>Close the valve.</li><li>Wait for the lamp.</li></ol>"
        f"<table><tr><th>Lamp</th><th>Meaning</th></tr><tr><td>red</td><td>pressure</td></tr></table><p>{LONG}</p>"
    )
    assert (document.title, document.language) == ("Lamps | Acme", "en")
    assert [(heading.level, heading.title) for heading in document.headings] == [(1, "Lamps"), (2, "Steps")]
    assert "- Close the valve.\n- Wait for the lamp." in document.text
    assert "red | pressure" in " ".join(document.text.split())
    assert not [word for word in ("Shop", "cookies", "Copyright") if word in document.text]


def test_code_keeps_its_lines_and_code_in_a_sentence_stays_in_it():
    document = crawled(
        f"<p>{LONG}</p><pre>pump --start\n  --slowly</pre><pre><code>pump --stop\n  --now</code></pre>"
        f"<p>Call <code>pump --help</code> for every option that it has.</p><p>{LONG}</p>"
    )
    kept = [document.text[start:end] for start, end in document.kept_lines]
    assert kept == ["pump --start\n  --slowly", "pump --stop\n  --now"]
    assert "Call pump --help for every option that it has." in document.text


def test_listings_and_tables_with_captions_are_kept_as_pictures_are_not():
    listing = (
        "<figure><pre><code>pump --start\npump --stop</code></pre><figcaption>With <code>stop</code> too.</figcaption>"
    )
    table = "<figure><table><tr><td>red</td><td>pressure</td></tr></table></figure>"
    document = crawled(f"<p>{LONG}</p>{listing}</figure><p>{LONG}</p>{table}<figure><img alt='A lamp'></figure>")
    assert next(document.text[start:end] for start, end in document.kept_lines) == "pump --start\npump --stop"
    assert "With stop too." in document.text
    assert "pressure" in document.text.replace(LONG.strip(), "")


@pytest.mark.parametrize("main", ["<p></p>", "<ul><li>a</li></ul>", "<h1>Only a heading</h1>"])
def test_a_page_without_main_content_is_read_whole(main):
    text = parse(f"<html><body>{main}<p>Short.</p></body></html>".encode(), CRAWLED, "http://docs.test/").text
    assert "Short." in text


def test_a_very_large_page_is_read_whole():
    document = crawled("<p>lamp</p>" * 100_000)
    assert document.text.count("lamp") == 100_000
    assert "Copyright" in document.text


def test_a_page_nested_without_end_is_refused():
    with pytest.raises(BadInputError):
        crawled("<div>" * 100_000)


def test_the_library_is_imported_with_the_first_crawled_page_alone():
    code = "import sys, spark_jobs.parsers.parse; print('trafilatura' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
