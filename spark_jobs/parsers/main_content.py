"""Pages of web sites: what a page is about, told by trafilatura from menus, banners and footers around it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lxml import etree

from spark_jobs.parsers.document import Page
from spark_jobs.parsers.html import read_html

# Its time grows faster than a page does, and pages of this size are books, not articles.
_MAX_CHARS: Final = 1_000_000
_INLINE_IN: Final = frozenset(("p", "li", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "pre"))


def read_main_content(text: str) -> Page:
    """Return the main content of a page: its headings, paragraphs, lists, tables and code, under the page's title.

    A page in which no main content is found, or that is very large, is returned whole. Raises BadInputError as
    `read_html` does.
    """
    whole = read_html(text)
    found = _main_content(text) if len(text) <= _MAX_CHARS else None
    page = read_html(found) if found else whole
    return replace(page, title=whole.title, language=whole.language) if page.blocks else whole


def _main_content(text: str) -> str | None:
    # Imported here, because it takes a quarter of a second that steps without crawled pages must not pay.
    import trafilatura

    # Recall before precision: a line of a menu too much costs less than a paragraph too few.
    found = trafilatura.extract(
        _with_figures(trafilatura.load_html(text)),
        output_format="html",
        favor_recall=True,
        include_formatting=True,
        include_tables=True,
        include_comments=False,
        deduplicate=False,
    )
    return _with_lines(found) if found else None


def _with_figures(tree: etree._Element | None) -> etree._Element | None:
    """Return a page whose listings and tables with captions are no figures: those trafilatura drops, as pictures."""
    for figure in () if tree is None else tree.iter("figure"):
        if next(figure.iter("pre", "code", "table"), None) is not None:
            figure.tag = "div"
            for caption in figure.iter("figcaption"):
                caption.tag = "p"
    return tree


def _with_lines(html: str) -> str:
    """Return trafilatura's HTML with its code as HTML means it: it writes code in a line as `pre`, `pre` as a quote."""
    # As XML, for in HTML a `pre` would end the paragraph that it stands in.
    root = etree.fromstring(html, etree.XMLParser(recover=True, resolve_entities=False, huge_tree=True))
    for element in root.iter("pre", "blockquote"):
        parent = element.getparent()
        if element.tag == "pre" and parent is not None and parent.tag in _INLINE_IN:
            element.tag = "code"
            if parent.tag == "pre" and not (parent.text or "").strip():
                parent.text = None
        elif element.tag == "blockquote" and not len(element) and "\n" in (element.text or ""):
            element.tag = "pre"
    written: str = etree.tostring(root, encoding="unicode", method="html")
    return written
