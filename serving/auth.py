"""Who asks: told by the API key alone, never by anything in the request's body."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from ragstone.contracts.names import ADMIN_GROUP, PUBLIC_GROUP
from ragstone.contracts.records import Principal
from ragstone.runtime.errors import ForbiddenError, UnauthenticatedError
from ragstone.runtime.settings import ApiKey, Settings
from ragstone.runtime.source_settings import PushSource

ANONYMOUS: Final = Principal("anonymous", frozenset({PUBLIC_GROUP}))
_BEARER: Final = "bearer "


class KeyRing:
    """The known API keys. Everybody is in the group `public`; a key adds the groups the settings give it."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        # Looked up by digest: how long a look-up takes says something about digests only, never about a key.
        self._principals = {key.sha256: Principal(key.name, frozenset(key.groups) | {PUBLIC_GROUP}) for key in keys}

    def principal(self, headers: Mapping[str, str]) -> Principal:
        """Return who asks, from `Authorization: Bearer KEY` or `X-API-Key: KEY`; without either, ANONYMOUS.

        Raises UnauthenticatedError on a key that is not known, since going on as anonymous would hide the mistake.
        """
        key = _shown_key(headers)
        if key is None:
            return ANONYMOUS
        principal = self._principals.get(hashlib.sha256(key.encode("utf-8", "replace")).hexdigest())
        if principal is None:
            raise UnauthenticatedError(
                "this API key is not known",
                where="header Authorization or X-API-Key",
                got=f"a key of {len(key)} characters",
                wanted="a key whose SHA-256 is in serving.api_keys, or no key at all",
            )
        return principal


def require_admin(principal: Principal, action: str) -> None:
    """Raise ForbiddenError unless the principal is in the group `admin`."""
    if ADMIN_GROUP not in principal.groups:
        raise ForbiddenError(
            f"{principal.name} may not do this",
            where=action,
            got=f"the groups {', '.join(sorted(principal.groups))}",
            wanted=f"the group {ADMIN_GROUP}",
        )


def may_write(settings: Settings, source: str, principal: Principal) -> bool:
    """Return whether a principal may write a source: its `writers` where it is pushed to, and the group `admin`."""
    told = settings.sources.get(source)
    writers = told.writers if isinstance(told, PushSource) else ()
    return not principal.groups.isdisjoint({ADMIN_GROUP, *writers})


def require_writer(settings: Settings, source: str, principal: Principal, action: str) -> None:
    """Raise ForbiddenError unless the principal may write the source, whether there is such a source or not."""
    if not may_write(settings, source, principal):
        raise ForbiddenError(
            f"{principal.name} may not write this source",
            where=action,
            got=f"source {source!r} and the groups {', '.join(sorted(principal.groups))}",
            wanted="a group among the source's writers",
        )


def _shown_key(headers: Mapping[str, str]) -> str | None:
    authorization = headers.get("authorization")
    if authorization is None:
        return headers.get("x-api-key")
    return authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else authorization
