"""The settings of a source: what every kind has, and one model for each kind, told apart by `kind`.

Secrets are named, never written: `env:NAME` reads a variable, `file:/path` a file, both only when they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

SecretName = Annotated[str, StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Source(_Model):
    acl: tuple[str, ...] = ("public",)
    metadata: dict[str, str] = Field(default_factory=dict)


class RecordColumns(_Model):
    """Which columns of a record (a row, a JSON object) make a document; `a.b` reaches into nested objects.

    `id` names the document for good. `text` may be several columns, joined by blank lines. `text_type` says how the
    text is written. `metadata` columns are kept as the document's metadata, under their own names.
    """

    id: str
    text: tuple[str, ...] = Field(min_length=1)
    title: str | None = None
    modified_at: str | None = None
    metadata: tuple[str, ...] = ()
    text_type: Literal["text/plain", "text/markdown", "text/html", "text/x-rst"] = "text/plain"


class FilesSource(_Source):
    """One folder of documents. `root` is taken relative to the working directory when it is not absolute.

    With `records`, each row of a csv, jsonl or parquet file is one document; without, such a file is one document.
    """

    kind: Literal["files"] = "files"
    root: Path
    include: tuple[str, ...] = (
        "**/*.txt",
        "**/*.md",
        "**/*.rst",
        "**/*.html",
        "**/*.htm",
        "**/*.pdf",
        "**/*.docx",
    )
    exclude: tuple[str, ...] = ()
    records: RecordColumns | None = None

    @property
    def place(self) -> str:
        """Return where the source is, for people; without secrets."""
        return str(self.root)


class S3Source(_Source):
    """The objects below a prefix of an S3 bucket. Without keys the usual AWS chain of credentials is asked.

    With `versioned` objects are told apart by their version ids too, which takes the right to list versions.
    """

    kind: Literal["s3"]
    bucket: str
    prefix: str = ""
    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()
    endpoint_url: str | None = None
    region: str = "us-east-1"
    versioned: bool = False
    access_key: SecretName | None = None
    secret_key: SecretName | None = None
    parallel: int = Field(8, ge=1, le=64)
    attempts: int = Field(5, ge=1)

    @property
    def place(self) -> str:
        """Return where the source is, for people; without secrets."""
        return f"s3://{self.bucket}/{self.prefix}"


class HttpSource(_Source):
    """A JSON API whose answers hold a list of records at `items` (empty: the answer itself is the list).

    Paging: `page` counts `page_param` up until a page is empty, `cursor` sends the value found at `cursor_field` as
    `cursor_param`, `link` follows the header Link with rel="next", `none` reads one answer.

    With `item_url` the list only names records: each is read from that address, in which `{column}` stands for a column
    of the listed record, and is asked for with the ETag or date of the version that was landed.

    A page of the list has at most `max_page_bytes` when unpacked; an answer of an item's own, `ingest.max_item_bytes`.
    """

    kind: Literal["http"]
    url: str
    items: str = ""
    item_url: str | None = None
    records: RecordColumns
    paging: Literal["none", "page", "cursor", "link"] = "none"
    page_param: str = "page"
    first_page: int = 1
    cursor_param: str = "cursor"
    cursor_field: str = "next"
    params: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    token: SecretName | None = None
    requests_per_second: float = Field(5.0, gt=0)
    timeout_s: float = Field(30.0, gt=0)
    attempts: int = Field(5, ge=1)
    max_pages: int = Field(10_000, ge=1)
    max_page_bytes: int = Field(50_000_000, gt=0)

    @property
    def place(self) -> str:
        """Return where the source is, for people; without secrets."""
        return self.url


class SqlSource(_Source):
    """The rows of a query. `url` is a SQLAlchemy address, or names a secret that holds one.

    With `incremental`, only rows whose column is at or past the greatest value seen are asked for, and nothing vanishes
    by being absent; `deleted` names a column that is true for deleted rows. Without, every row is read and compared.
    """

    kind: Literal["sql"]
    url: str
    query: str
    records: RecordColumns
    incremental: str | None = None
    deleted: str | None = None
    batch_rows: int = Field(1_000, ge=1)

    @property
    def place(self) -> str:
        """Return where the source is, for people; without secrets."""
        return self.url.rpartition("@")[2]


class CrawlSource(_Source):
    """The pages reached from start pages: at most `max_depth` links deep, only on the start pages' hosts or `hosts`.

    `include` and `exclude` are patterns on paths; start pages are read whatever they say. At most `max_pages` pages are
    asked for in one run, each within `timeout_s` from first to last byte. `robots.txt` is read for the first word of
    `user_agent`. `requests_per_second` holds for each host. With `allow_private` loopback and private addresses too.
    With `content: whole` all of a page is kept, menus included, not only its main content.
    """

    kind: Literal["crawl"]
    start: tuple[Annotated[str, StringConstraints(pattern=r"^(?i:https?)://")], ...] = Field(min_length=1)
    hosts: tuple[Annotated[str, StringConstraints(pattern=r"^[^/@\s]+$")], ...] = ()
    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()
    max_depth: int = Field(3, ge=0)
    max_pages: int = Field(1_000, ge=1)
    sitemaps: bool = True
    content: Literal["main", "whole"] = "main"
    user_agent: str = "ragstone"
    requests_per_second: float = Field(1.0, gt=0)
    timeout_s: float = Field(20.0, gt=0)
    attempts: int = Field(3, ge=1)
    allow_private: bool = False

    @property
    def place(self) -> str:
        """Return where the source is, for people; without secrets."""
        return ", ".join(self.start)


class KafkaSource(_Source):
    """A Kafka topic whose messages are JSON records, or whose values are documents when `records` is not given.

    A message's key is its document's id where `records` is not given; a message without value deletes the document that
    its key names. `headers` are kept as metadata. `options` go to Spark's Kafka source as `kafka.<name>`, such as
    `security.protocol`; `secret_options` too, but name secrets. `interval_s` is how often a followed topic is asked.
    """

    kind: Literal["kafka"]
    servers: str
    topic: str = Field(min_length=1)
    records: RecordColumns | None = None
    headers: tuple[str, ...] = ()
    starting: Literal["earliest", "latest"] = "earliest"
    max_messages_per_batch: int = Field(10_000, ge=1)
    interval_s: float = Field(5.0, ge=0)
    options: dict[str, str] = Field(default_factory=dict)
    secret_options: dict[str, SecretName] = Field(default_factory=dict)

    @property
    def place(self) -> str:
        """Return where the source is, for people; without secrets."""
        return f"{self.servers}/{self.topic}"


class PushSource(_Source):
    """Documents that are sent to `POST /v1/documents` by callers in one of `writers`; `acl` is what they get."""

    kind: Literal["push"]
    writers: tuple[str, ...] = ("admin",)

    @property
    def place(self) -> str:
        """Return where the source is, for people; without secrets."""
        return "POST /v1/documents"


def _kind(source: Any) -> str:
    """Return the kind of a source; one that names none is a folder of files."""
    return str(source.get("kind", "files") if isinstance(source, Mapping) else source.kind)


Source = Annotated[
    Annotated[FilesSource, Tag("files")]
    | Annotated[S3Source, Tag("s3")]
    | Annotated[HttpSource, Tag("http")]
    | Annotated[SqlSource, Tag("sql")]
    | Annotated[CrawlSource, Tag("crawl")]
    | Annotated[KafkaSource, Tag("kafka")]
    | Annotated[PushSource, Tag("push")],
    Discriminator(_kind),
]
SOURCE_KINDS: Final = (FilesSource, S3Source, HttpSource, SqlSource, CrawlSource, KafkaSource, PushSource)
