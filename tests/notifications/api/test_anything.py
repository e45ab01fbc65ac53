"""Whatever is sent, the answer is a success or a problem that names what is wrong: never a mistake of ours."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from notifications.models import Policy, Streamer
from tests.notifications.api.problem import fields_of
from tests.notifications.scene import a_dead_letter, configured

FIELDS = {
    "notifications": "event_type priority title body data streamer recipients scheduled_at expires_at idempotency_key",
    "streamers": "key name platform tags",
    "channels": "key name kind enabled owner_key config retry_preset max_attempts retry_base_s rate_per_s timeout_s",
    "policies": "scope platform streamer enabled min_priority event_types channels",
    "dead-letters/replay": "ids channel fingerprint outcome streamer event_type since until dry_run",
    "dead-letters/discard": "ids channel fingerprint outcome since reason dry_run",
    "replay-jobs": "ids channel fingerprint outcome streamer event_type since until pace_per_s dry_run",
    "channels/ops/pause": "seconds",
    "follows": "recipient streamer min_priority",
    "inbox/ack?recipient=ann": "device upto ids",
    "inbox/read?recipient=ann": "ids upto all",
    "inbox/archive?recipient=ann": "ids",
    "rt/ticket?recipient=ann": "device",
}
#: Where something is that can be changed.
CHANGED = {"streamers": "streamers/nightowl", "channels": "channels/ops", "policies": "policies/{policy}"}

#: Values that have broken something somewhere, besides what chance finds.
WORDS = st.sampled_from(
    [
        "",
        "\0",
        "nightowl",
        "ops",
        "global",
        "webhook",
        "streamer",
        "\ud7ff",
        "x" * 300,
        "nan",
        "Infinity",
        "1e400",
        "🔔",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | WORDS | st.text()
VALUES = st.recursive(
    SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.just("url"), inner, max_size=3),
    max_leaves=6,
)
ANYTHING = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def bodies(path: str) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS[path].split(), VALUES)) | VALUES


@pytest.fixture
def there(nightowl: Streamer) -> dict[str, int]:
    channel = configured("webhook", {"url": "https://a.example"}, key="ops")
    a_dead_letter(channel)
    policy = Policy.objects.create(scope="platform", platform="kick")
    return {"policy": policy.pk}


def check(answer: Any) -> None:
    assert answer.status_code < 500
    if answer.status_code >= 400:
        fields_of(answer)


@ANYTHING
@given(data=st.data())
@pytest.mark.parametrize("path", FIELDS)
def test_any_body_is_answered(path: str, data: st.DataObject, operator: APIClient, there: dict[str, int]) -> None:
    operator.raise_request_exception = False
    body = data.draw(bodies(path))
    with transaction.atomic():
        check(operator.post(f"/api/v1/{path}", body, format="json"))
        if path in CHANGED:
            url = f"/api/v1/{CHANGED[path].format(**there)}"
            check(operator.patch(url, body, format="json"))
            check(operator.put(url, body, format="json"))
            check(operator.get(url))
        transaction.set_rollback(True)


@ANYTHING
@given(
    path=st.sampled_from(
        [
            "notifications",
            "deliveries",
            "dead-letters",
            "dead-letters/groups",
            "streamers",
            "policies",
            "follows",
            "inbox",
            "inbox/state",
            "inbox/changes",
        ]
    ),
    query=st.dictionaries(
        st.sampled_from(
            [
                "cursor",
                "limit",
                "state",
                "streamer",
                "channel",
                "notification",
                "search",
                "priority_min",
                "accepted_after",
                "since",
                "decided",
                "tag",
                "scope",
                "recipient",
                "before",
                "after",
                "category",
                "unread",
            ]
        )
        | WORDS,
        WORDS | st.text() | st.integers().map(str),
        max_size=3,
    ),
)
def test_any_query_is_answered(path: str, query: dict[str, str], operator: APIClient, there: dict[str, int]) -> None:
    operator.raise_request_exception = False
    with transaction.atomic():
        check(operator.get(f"/api/v1/{path}", query))


@ANYTHING
@given(tail=st.text(max_size=20), method=st.sampled_from(["get", "post", "put", "patch", "delete"]))
def test_any_address_is_answered(tail: str, method: str, operator: APIClient) -> None:
    operator.raise_request_exception = False
    with transaction.atomic():
        check(getattr(operator, method)(f"/api/v1/notifications/{tail}"))


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", "2030-06-31T00:00:00Z"])
@pytest.mark.parametrize("field", ["scheduled_at", "expires_at"])
def test_a_moment_outside_of_time_is_named(operator: APIClient, field: str, moment: str) -> None:
    answer = operator.post("/api/v1/notifications", {"event_type": "a", field: moment})
    assert answer.status_code in {202, 400}
    assert answer.status_code == 202 or set(fields_of(answer)) == {field}


@pytest.mark.parametrize(
    "path", ["notifications?accepted_after=", "notifications?accepted_before=", "dead-letters?since="]
)
@pytest.mark.parametrize(
    "moment", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00%2B23:00", "2030-06-31", "2030-01-01"]
)
def test_a_filter_by_any_moment_is_answered(operator: APIClient, path: str, moment: str) -> None:
    check(operator.get(f"/api/v1/{path}{moment}"))


@pytest.mark.parametrize(
    "body", [{"ids": [2**63]}, {"ids": [2**64]}, {"since": "9999-12-31T23:59:59-23:00"}, {"channel": "\0"}]
)
def test_a_selection_out_of_bounds_is_answered(operator: APIClient, body: dict[str, Any]) -> None:
    check(operator.post("/api/v1/dead-letters/replay", body))


@pytest.mark.parametrize("number", [2**70, -(2**70), 1e20, 1.5e-320])
def test_numbers_in_data_are_kept(operator: APIClient, number: float) -> None:
    url = operator.post("/api/v1/notifications", {"event_type": "a", "data": {"n": number}}).json()["url"]
    assert operator.get(url).json()["data"]["n"] == number
