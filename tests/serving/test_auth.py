import pytest

from ragstone.runtime.errors import ForbiddenError, UnauthenticatedError
from ragstone.runtime.settings import ApiKey
from serving.auth import ANONYMOUS, KeyRing, require_admin
from tests.serving.world import ADMIN_KEY, API_KEYS, STAFF_KEY

KEYS = KeyRing(ApiKey(**key) for key in API_KEYS)


def test_no_key_is_the_group_public():
    assert KEYS.principal({}) is ANONYMOUS
    assert ANONYMOUS.groups == {"public"}


@pytest.mark.parametrize(
    "headers",
    [{"authorization": f"Bearer {STAFF_KEY}"}, {"authorization": f"bearer {STAFF_KEY}"}, {"x-api-key": STAFF_KEY}],
)
def test_a_key_tells_name_and_groups(headers):
    principal = KEYS.principal(headers)

    assert (principal.name, principal.groups) == ("staff", {"staff", "public"})


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer "},
        {"authorization": "Basic c3RhZmY6"},
        {"x-api-key": ""},
        {"x-api-key": STAFF_KEY.upper()},
        {"authorization": "Bearer other", "x-api-key": STAFF_KEY},
    ],
)
def test_a_key_that_nobody_has_is_refused_and_not_taken_for_none(headers):
    with pytest.raises(UnauthenticatedError):
        KEYS.principal(headers)


def test_only_admins_pass_where_admins_are_required():
    require_admin(KEYS.principal({"x-api-key": ADMIN_KEY}), "here")

    with pytest.raises(ForbiddenError):
        require_admin(KEYS.principal({"x-api-key": STAFF_KEY}), "here")
