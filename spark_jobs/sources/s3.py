"""The s3 connector: the objects below a prefix of a bucket, of AWS or of anything that speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

import boto3
import stamina
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from urllib3.exceptions import HTTPError

from ragstone.contracts.records import Envelope
from ragstone.runtime.errors import BadInputError, ConfigError, DependencyUnavailableError, RagstoneError
from ragstone.runtime.settings import IngestSettings, read_secret
from ragstone.runtime.source_settings import S3Source
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.globs import Globs

# Of the answers that blame who asks, these may be others later.
_MAY_PASS: Final = {"RequestTimeout", "SlowDown", "Throttling", "TooManyRequests"}
_NOT_THERE: Final = {"404", "NoSuchKey", "NoSuchBucket", "NoSuchVersion", "PreconditionFailed", "412"}
_TIMEOUT_S: Final = 30
_PAGE_KEYS: Final = 1_000


class _BrokenStreamError(Exception):
    """A body that broke off while it was read: what broke before has had botocore's own retries."""


class S3Connector:
    """Reads one prefix. An object's source_uri is its key below the prefix's last slash."""

    lists_all = True

    def __init__(self, name: str, source: S3Source, ingest: IngestSettings) -> None:
        self.name = name
        self.acl = source.acl
        self.metadata = source.metadata
        self.parallel = source.parallel
        self._source = source
        self._folder = source.prefix[: source.prefix.rfind("/") + 1]
        self._max_item_bytes = ingest.max_item_bytes
        self._include = Globs(source.include)
        self._exclude = Globs(source.exclude)

    def items(self, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:  # noqa: ARG002 -- ETags come with the list
        """Yield the matching objects in the order of their keys, a page of the listing at a time.

        Raises ConfigError when there is no such bucket or it may not be listed, DependencyUnavailableError when the
        service does not answer or breaks off.
        """
        try:
            for listed in self._objects():
                uri = str(listed["Key"]).removeprefix(self._folder)
                if not uri.endswith("/") and self._include.match(uri) and not self._exclude.match(uri):
                    yield self._item(uri, listed)
        except (NoCredentialsError, PartialCredentialsError, ParamValidationError, ValueError) as wrong:
            raise self._misconfigured(wrong, "an address, a bucket and credentials that may list it") from wrong
        except ClientError as refused:
            raise self._unlisted(refused) from refused
        except BotoCoreError as broken:
            raise self._unreachable(broken) from broken

    def fetch(self, item: SourceItem) -> bytes:
        """Return an object's bytes, of the very version that was listed. Raises BadInputError."""
        # A key may hold a line break, a version id does not.
        key, _, version_id = item.locator.rpartition("\n") if self._source.versioned else (item.locator, "", "")
        try:
            for attempt in stamina.retry_context(on=_BrokenStreamError, attempts=self._source.attempts, timeout=None):
                with attempt:
                    return self._read(key, item, version_id)
        except ClientError as refused:
            raise _refused(refused) from refused
        except (BotoCoreError, _BrokenStreamError) as broken:
            raise BadInputError(
                "the object cannot be read", got=broken, wanted=f"its bytes within {self._source.attempts} attempts"
            ) from broken
        raise AssertionError("an attempt returns or raises")

    def _read(self, key: str, item: SourceItem, version_id: str) -> bytes:
        chosen = {"VersionId": version_id} if version_id else {"IfMatch": str(item.version)}
        answer = self._client.get_object(Bucket=self._source.bucket, Key=key, **chosen)
        try:
            with answer["Body"] as body:
                content: bytes = body.read()
        except (BotoCoreError, HTTPError, OSError) as broken:
            raise _BrokenStreamError(str(broken)) from broken
        return content

    @cached_property
    def _client(self) -> Any:
        keys = {
            name: read_secret(secret).get_secret_value()
            for name, secret in (
                ("aws_access_key_id", self._source.access_key),
                ("aws_secret_access_key", self._source.secret_key),
            )
            if secret
        }
        return boto3.client(
            "s3",
            endpoint_url=self._source.endpoint_url,
            region_name=self._source.region,
            config=Config(
                # Retries throttling, server errors and broken connections with back-off, and nothing else.
                retries={"mode": "standard", "total_max_attempts": self._source.attempts},
                max_pool_connections=self._source.parallel,
                connect_timeout=_TIMEOUT_S,
                read_timeout=_TIMEOUT_S,
                s3={"addressing_style": "path"} if self._source.endpoint_url else {},
            ),
            **keys,
        )

    def _objects(self) -> Iterator[Mapping[str, Any]]:
        """Yield the newest version of every object below the prefix."""
        where: dict[str, Any] = {"Bucket": self._source.bucket, "Prefix": self._source.prefix}
        where["PaginationConfig"] = {"PageSize": _PAGE_KEYS}
        if not self._source.versioned:
            for page in self._client.get_paginator("list_objects_v2").paginate(**where):
                yield from page.get("Contents", ())
            return
        for page in self._client.get_paginator("list_object_versions").paginate(**where):
            yield from (version for version in page.get("Versions", ()) if version["IsLatest"])

    def _item(self, uri: str, listed: Mapping[str, Any]) -> SourceItem:
        version_id = listed.get("VersionId", "")
        too_large = None
        if listed["Size"] > self._max_item_bytes:
            too_large = BadInputError(
                "the object is too large",
                got=f"{listed['Size']} bytes",
                wanted=f"at most {self._max_item_bytes} (ingest.max_item_bytes)",
            )
        return SourceItem(
            source_uri=uri,
            locator=f"{listed['Key']}\n{version_id}" if version_id else str(listed["Key"]),
            modified_at=listed["LastModified"],
            version=f"{listed['ETag']}@{version_id}" if version_id else str(listed["ETag"]),
            refusal=too_large,
        )

    def _unlisted(self, refused: ClientError) -> RagstoneError:
        status = refused.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        if 300 <= status < 500 and _code(refused) not in _MAY_PASS:
            return self._misconfigured(refused, "a bucket that may be listed")
        return self._unreachable(refused)

    def _misconfigured(self, got: object, wanted: str) -> ConfigError:
        return ConfigError(
            f"the source {self.name} cannot be listed",
            where=self._source.place,
            got=got,
            wanted=wanted,
            next_step=f"correct sources.{self.name} or its credentials; nothing was changed",
        )

    def _unreachable(self, broken: Exception) -> DependencyUnavailableError:
        return DependencyUnavailableError(
            f"the object store of source {self.name} does not answer",
            where=self._source.endpoint_url or self._source.place,
            got=broken,
            wanted="the whole listing",
            next_step="see that it runs and may be reached from here, then run again; nothing was changed",
        )


def _refused(refused: ClientError) -> BadInputError:
    code = _code(refused)
    if code in _NOT_THERE:
        return BadInputError(
            "the object has gone or changed since it was listed", got=code, wanted="the listed version"
        )
    return BadInputError("the object cannot be read", got=refused, wanted="an object that may be read")


def _code(refused: ClientError) -> str:
    return str(refused.response.get("Error", {}).get("Code", ""))
