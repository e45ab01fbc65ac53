"""From a claimed row to the message that transports tell."""

from __future__ import annotations

import pytest

from channels_app.base import Message
from notifications import clock
from notifications.models import Delivery, Streamer, transitions
from notifications.rendering import message_of
from tests.notifications.scene import a_delivery, a_notification, channel_at

pytestmark = pytest.mark.django_db


def rendered(**fields: object) -> tuple[Message, Delivery]:
    """The message of a notification with these columns, and its delivery."""
    delivery = a_delivery(channel_at("https://example.org"), notification=a_notification(**fields))
    row = transitions.claim_one(delivery.pk, now=clock.now(), lease_s=20)
    assert row is not None
    return message_of(row), delivery


def test_what_the_producer_wrote_is_told_as_it_is() -> None:
    message, delivery = rendered(title="Ünïcode 🔔 שלום", body="{not_a_field} %s", data={"a": [1, {"b": None}]})
    assert (message.title, message.body) == ("Ünïcode 🔔 שלום", "{not_a_field} %s")
    assert message.data == {"a": [1, {"b": None}]}
    assert message.idempotency_id == delivery.idempotency_id
    assert message.notification_id == str(delivery.notification_id)
    assert (message.priority, message.priority_label) == (5, "normal")
    assert message.accepted_at == delivery.notification.accepted_at


def test_without_a_title_the_type_speaks_and_the_streamer_is_named() -> None:
    streamer = Streamer.objects.create(key="aurora", name="Aurora Vale", platform="twitch")
    message, _ = rendered(title="", event_type="stream_online", streamer=streamer, data={"title": "Speedrun"})
    assert (message.title, message.body) == ("Aurora Vale is live", "Speedrun")
    assert (message.streamer_key, message.streamer_name, message.platform) == ("aurora", "Aurora Vale", "twitch")


def test_the_producers_word_goes_before_what_belfry_knows() -> None:
    streamer = Streamer.objects.create(key="aurora", name="Aurora Vale", platform="twitch")
    message, _ = rendered(title="", event_type="stream_online", streamer=streamer, data={"streamer_name": "Rory"})
    assert message.title == "Rory is live"


def test_a_body_of_the_producers_stays_under_a_default_title() -> None:
    message, _ = rendered(title="", body="Mine.", event_type="pipeline_queue_warning", data={"queue_depth": 7})
    assert (message.title, message.body) == ("7 jobs wait", "Mine.")


def test_a_title_of_the_producers_gets_no_default_body() -> None:
    message, _ = rendered(title="Mine", event_type="stream_online", data={"title": "Speedrun"})
    assert (message.title, message.body) == ("Mine", "")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"streamer_name": None},
        {"streamer_name": {"a": [1]}, "title": 1e308},
        {"streamer_name": 10**300},
        {"streamer_name": ""},
    ],
)
def test_odd_data_still_gives_a_title(data: dict[str, object]) -> None:
    message, _ = rendered(title="", event_type="stream_online", data=data)
    assert message.title
