"""/channels."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from channels_app.configuration import MASK
from channels_app.models import Channel
from notifications.models import Streamer
from notifications.states import State
from project.outside import World
from tests.notifications.api.conftest import ClientFor
from tests.notifications.api.problem import fields_of
from tests.notifications.scene import a_delivery, configured, row_of

URL = "/api/v1/channels"
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


def opened(key: str) -> Any:
    return Channel.objects.current().get(key=key).typed_config()


def test_a_channel_is_created_read_changed_and_deleted(operator: APIClient, webhook: dict[str, Any]) -> None:
    made = operator.post(URL, webhook)
    assert made.status_code == 201, made.json()
    assert operator.get(f"{URL}/ops").json() == made.json()
    assert [one["key"] for one in operator.get(URL).json()["results"]] == ["ops"]
    changed = operator.patch(f"{URL}/ops", {"name": "New", "enabled": False}).json()
    assert (changed["name"], changed["enabled"]) == ("New", False)
    assert operator.delete(f"{URL}/ops").status_code == 204
    assert operator.get(f"{URL}/ops").status_code == 404
    assert operator.post(URL, webhook).status_code == 201


def test_secrets_never_come_back(operator: APIClient, webhook: dict[str, Any]) -> None:
    answers = [operator.post(URL, webhook), operator.get(f"{URL}/ops"), operator.get(URL)]
    answers += [operator.patch(f"{URL}/ops", {"config": {"secret": "canary-not-a-secret"}})]
    for answer in answers:
        assert b"canary" not in answer.content
        assert SECRET.encode() not in answer.content
    assert answers[0].json()["config"]["url"] == MASK
    assert opened("ops").url.endswith("canary-url")


def test_secrets_that_are_left_out_or_repeated_as_shown_are_kept(operator: APIClient, webhook: dict[str, Any]) -> None:
    operator.post(URL, webhook)
    before = opened("ops")
    shown = operator.get(f"{URL}/ops").json()
    assert operator.put(f"{URL}/ops", shown).status_code == 200
    assert operator.patch(f"{URL}/ops", {"config": {}}).status_code == 200
    assert opened("ops") == before
    changed = operator.patch(f"{URL}/ops", {"config": {"method": "PUT", "secret": ""}})
    assert changed.status_code == 200
    assert (opened("ops").method, opened("ops").secret, opened("ops").url) == ("PUT", "", before.url)
    assert operator.patch(f"{URL}/ops", {"config": {"secret": SECRET}}).json()["config"]["method"] == "PUT"


def test_a_replacement_sets_what_it_leaves_out_to_nothing(operator: APIClient, webhook: dict[str, Any]) -> None:
    operator.post(URL, {**webhook, "max_attempts": 4, "rate_per_s": 2.5, "enabled": False})
    replaced = operator.put(f"{URL}/ops", {"name": "Other", "config": {}}).json()
    assert (replaced["name"], replaced["max_attempts"], replaced["rate_per_s"]) == ("Other", None, None)
    assert replaced["enabled"] is True


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"config": {}}, "config.url"),
        ({"config": {"url": "ftp://x"}}, "config.url"),
        ({"config": {"url": "https://a.example", "colour": "red"}}, "config.colour"),
        ({"config": {"url": "https://a.example", "headers": {"a": 1}}}, "config.headers[...]"),
        ({"config": {"url": "https://a.example/\0"}}, "config"),
        ({"config": "x"}, "config"),
        ({"kind": "pigeon"}, "kind"),
        ({"key": "with space"}, "key"),
        ({"key": ""}, "key"),
        ({"name": "\0"}, "name"),
        ({"colour": "red"}, "colour"),
        ({"owner_key": "nobody"}, "owner_key"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": 10**9}, "max_attempts"),
        ({"timeout_s": 61}, "timeout_s"),
        ({"retry_base_s": 86_401}, "retry_base_s"),
        ({"retry_cap_s": 1e9}, "retry_cap_s"),
        ({"retry_window_s": 1e300}, "retry_window_s"),
        ({"breaker_consecutive_failures": 10**7}, "breaker_consecutive_failures"),
        ({"breaker_failure_rate": 1.1}, "breaker_failure_rate"),
        ({"breaker_min_calls": 10**7}, "breaker_min_calls"),
        ({"breaker_window_s": 1e15}, "breaker_window_s"),
        ({"breaker_cooldown_s": 1e15}, "breaker_cooldown_s"),
        ({"rate_per_s": 100_001}, "rate_per_s"),
        ({"rate_burst": 10**7}, "rate_burst"),
        ({"max_in_flight": 10**5}, "max_in_flight"),
        ({"transient_codes": [404, 99]}, "transient_codes[1]"),
        ({"transient_codes": [600]}, "transient_codes[0]"),
        ({"transient_codes": ["gone"]}, "transient_codes[0]"),
        ({"transient_codes": [True]}, "transient_codes[0]"),
        ({"transient_codes": 404}, "transient_codes"),
        ({"transient_codes": None}, "transient_codes"),
        ({"transient_codes": [404] * 51}, "transient_codes"),
        ({"timeout_s": "nan"}, "timeout_s"),
        ({"retry_preset": "hasty"}, "retry_preset"),
    ],
)
def test_each_field_at_fault_is_named(
    operator: APIClient, webhook: dict[str, Any], fields: dict[str, Any], at_fault: str
) -> None:
    answer = operator.post(URL, {**webhook, **fields})
    assert answer.status_code == 400
    assert fields_of(answer) == [at_fault]
    assert not Channel.objects.exists()


def test_codes_that_are_tried_again_are_set_shown_and_taken_back(operator: APIClient, webhook: dict[str, Any]) -> None:
    assert operator.post(URL, webhook).json()["transient_codes"] == []
    assert operator.patch(f"{URL}/ops", {"transient_codes": [404, 550]}).json()["transient_codes"] == [404, 550]
    assert operator.patch(f"{URL}/ops", {"name": "Other"}).json()["transient_codes"] == [404, 550]
    assert operator.put(f"{URL}/ops", {"name": "Other", "config": {}}).json()["transient_codes"] == []


def test_a_key_is_taken_once(operator: APIClient, webhook: dict[str, Any]) -> None:
    operator.post(URL, webhook)
    assert fields_of(operator.post(URL, webhook)) == ["key"]


def test_key_and_kind_stay_as_they_are(operator: APIClient, webhook: dict[str, Any]) -> None:
    operator.post(URL, webhook)
    assert fields_of(operator.patch(f"{URL}/ops", {"kind": "server_log"})) == ["kind"]
    assert fields_of(operator.patch(f"{URL}/ops", {"key": "other"})) == ["key"]
    assert operator.patch(f"{URL}/ops", {"kind": "webhook", "key": "ops"}).status_code == 200


def test_a_preset_fills_the_retry_fields_that_are_not_sent(operator: APIClient, webhook: dict[str, Any]) -> None:
    made = operator.post(URL, {**webhook, "retry_preset": "rust-srec", "retry_cap_s": 7}).json()
    assert (made["max_attempts"], made["retry_base_s"], made["retry_cap_s"]) == (3, 5.0, 7.0)
    assert "retry_preset" not in made


def test_deleting_ends_what_waits(operator: APIClient) -> None:
    channel = configured("webhook", {"url": "https://a.example"}, key="ops")
    delivery = a_delivery(channel)
    assert operator.delete(f"{URL}/ops").status_code == 204
    row = row_of(delivery)
    assert (row["state"], row["reason_code"]) == ("cancelled", "channel_deleted")
    assert Channel.objects.get(pk=channel.pk).secrets == ""
    assert operator.get(f"/api/v1/deliveries/{delivery.pk}").json()["channel"] == "ops"


def test_an_operator_of_a_streamer_has_its_channels_alone(
    client_for: ClientFor, webhook: dict[str, Any], nightowl: Streamer, daybird: Streamer
) -> None:
    everyone, bound = client_for("operator"), client_for("operator", nightowl)
    everyone.post(URL, {**webhook, "key": "shared"})
    everyone.post(URL, {**webhook, "key": "theirs", "owner_key": "daybird"})
    assert bound.post(URL, {**webhook, "key": "mine"}).json()["owner_key"] == "nightowl"
    assert fields_of(bound.post(URL, {**webhook, "key": "x", "owner_key": "daybird"})) == ["owner_key"]
    assert [one["key"] for one in bound.get(URL).json()["results"]] == ["mine"]
    for key in ("shared", "theirs"):
        assert bound.get(f"{URL}/{key}").status_code == 404
        assert bound.delete(f"{URL}/{key}").status_code == 404
        assert bound.post(f"{URL}/{key}/test").status_code == 404
    assert bound.put(f"{URL}/mine", {"name": "x", "config": {}}).json()["owner_key"] == "nightowl"


def test_a_producer_has_no_business_with_channels(producer: APIClient) -> None:
    answer = producer.get(URL)
    assert answer.status_code == 403
    assert fields_of(answer) == []


def test_a_list_is_one_query(operator: APIClient, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for n in range(3):
        configured("webhook", {"url": "https://a.example"}, key=f"c{n}")
    operator.get(URL)
    with django_assert_num_queries(1):
        assert len(operator.get(URL).json()["results"]) == 3


def test_a_test_tells_what_the_far_end_said(operator: APIClient, world: World) -> None:
    configured("webhook", {"url": f"{world.url}/nowhere"}, key="wrong")
    body = operator.post(f"{URL}/wrong/test").json()
    assert set(body) == {"outcome", "code", "detail", "duration_ms"}
    assert (body["outcome"], body["code"]) == ("permanent", 404)


def test_a_test_of_a_channel_that_cannot_be_opened_is_a_problem(operator: APIClient, settings: Any) -> None:
    configured("webhook", {"url": "https://a.example"}, key="sealed")
    Channel.objects.update(secrets="v1:lost:token")
    answer = operator.post(f"{URL}/sealed/test")
    assert answer.status_code == 409
    fields_of(answer)
    assert fields_of(operator.patch(f"{URL}/sealed", {"config": {"method": "PUT"}})) == ["config"]
    assert operator.patch(f"{URL}/sealed", {"name": "Still ours"}).status_code == 200


def test_a_state_that_was_asked_for_is_kept(operator: APIClient) -> None:
    delivery = a_delivery(configured("webhook", {"url": "https://a.example"}, key="c"), State.DELIVERED)
    assert operator.get("/api/v1/deliveries?state=delivered&channel=c").json()["results"][0]["id"] == delivery.pk
