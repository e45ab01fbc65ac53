"""The rooms of channels: a form for each kind, secrets that go in and never out, a test, an end."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any, Literal

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import signals
from django.test import Client
from django.urls import reverse

from channels_app import registry
from channels_app.base import Config, HttpTransport, Message, Request, setting
from channels_app.models import Channel
from notifications.models import Delivery, Policy
from notifications.states import State
from project.outside import World
from tests.notifications.admin.evening import CANARY, Evening, delivery, notification

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
ADD = "/admin/channels_app/channel/add/"


class PigeonConfig(Config):
    loft: Annotated[str, setting("Where it flies to.", max_length=20, example="north tower")]
    ring: Annotated[str, setting("What the bird wears.", secret=True)]
    speed: Annotated[Literal["slow", "fast"], setting("How it flies.")] = "slow"
    weight_g: Annotated[int, setting("What it carries.", ge=1, le=75)] = 20
    rest_s: Annotated[float | None, setting("How long it rests.")] = None
    returns: Annotated[bool, setting("Whether it comes home.")] = True
    stops: Annotated[list[str], setting("Where it eats.")] = []
    colours: Annotated[dict[str, str], setting("Feathers.")] = {}
    password: Annotated[str, setting("Said at the loft.", secret=True)] = ""
    route: Annotated[dict[str, int], setting("Hours by town.")] = {}

    def __post_init__(self) -> None:
        if "sea" in self.stops:
            raise ValueError("No pigeon eats at sea; look at `stops`")


class Pigeon(HttpTransport[PigeonConfig]):
    kind, label, Config = "pigeon", "Carrier pigeon", PigeonConfig

    def build(self, message: Message, config: PigeonConfig, *, now: Any) -> Request:
        return Request(url=f"http://{config.loft}/", body=b"", headers={})


@pytest.fixture
def _pigeons(monkeypatch: pytest.MonkeyPatch) -> None:
    found = MappingProxyType({**registry._found(), "pigeon": Pigeon()})
    monkeypatch.setattr(registry, "_found", lambda: found)


def page_of(channel: Channel, page: str = "change") -> str:
    return reverse(f"admin:channels_app_channel_{page}", args=(channel.pk,))


def filled(**fields: Any) -> dict[str, Any]:
    """What a browser sends of a form that was left alone but for `fields`."""
    return {"name": "Loft", "key": "loft", "enabled": "on", "retry_jitter": "unknown", **fields}


def text_of(answer: Any) -> str:
    text: str = answer.content.decode()
    return text


def test_adding_begins_with_the_kind(admin_client: Client) -> None:
    html = text_of(admin_client.get(ADD))
    for transport in registry.all_transports():
        assert f"?kind={transport.kind}" in html
        assert transport.label in html
    assert "of which kind" in text_of(admin_client.get(f"{ADD}?kind=nonsense"))


@pytest.mark.usefixtures("_pigeons")
def test_a_kind_that_nobody_has_heard_of_gets_its_form(admin_client: Client) -> None:
    assert "Carrier pigeon" in text_of(admin_client.get(ADD))
    html = text_of(admin_client.get(f"{ADD}?kind=pigeon"))
    assert "Settings of Carrier pigeon" in html
    assert "Where it flies to." in html
    assert 'placeholder="north tower"' in html
    assert 'type="password" name="config_ring"' in html
    sent = filled(
        config_loft="north", config_ring=CANARY, config_speed="fast", config_weight_g="30", config_rest_s="1.5",
        config_stops="mill\r\n\r\n tower ", config_colours="wing: grey\r\ntail: white: and black",
        config_route='{"Ulm": 3}', config_password=CANARY,
    )  # fmt: skip
    answer = admin_client.post(f"{ADD}?kind=pigeon", sent)
    assert answer.status_code == 302, text_of(answer)
    channel = Channel.objects.get(key="loft")
    assert channel.kind == "pigeon"
    assert channel.typed_config() == PigeonConfig(
        loft="north", ring=CANARY, speed="fast", weight_g=30, rest_s=1.5, returns=False, stops=["mill", "tower"],
        colours={"wing": "grey", "tail": "white: and black"}, password=CANARY, route={"Ulm": 3},
    )  # fmt: skip
    html = text_of(admin_client.get(page_of(channel)))
    assert CANARY not in html
    assert "mill\ntower" in html
    assert "wing: grey" in html


@pytest.mark.usefixtures("_pigeons")
@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("config_loft", "n" * 21, "at most 20 characters"),
        ("config_loft", "", "This field is required."),
        ("config_ring", "", "This field is required."),
        ("config_weight_g", "99", "less than or equal to 75"),
        ("config_speed", "warp", "not one of the available choices"),
        ("config_colours", "no colon here", "Write one `Name: value` a line."),
        ("config_route", "{", "This is not JSON."),
        ("config_route", '{"Ulm": "three"}', "Expected `int`"),
        ("config_stops", "sea", "No pigeon eats at sea"),
        ("owner_key", "nobody", "No streamer has the key"),
        ("max_attempts", "0", "greater than or equal to 1"),
        ("transient_codes", "404, 99", "Item 2"),
        ("transient_codes", "404 550", "Item 1"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(admin_client: Client, field: str, value: str, said: str) -> None:
    sent = filled(config_loft="north", config_ring=CANARY, config_speed="slow", config_weight_g="5")
    answer = admin_client.post(f"{ADD}?kind=pigeon", {**sent, field: value})
    assert answer.status_code == 200
    errors = answer.context["adminform"].form.errors
    assert said in str(errors[field])
    assert CANARY not in text_of(answer)
    assert not Channel.objects.exists()


def test_codes_that_are_tried_again_are_written_by_comma(admin_client: Client, evening: Evening) -> None:
    sent = filled(name="Pager", key="operations-pager", config_method="PUT")
    assert admin_client.post(page_of(evening.ops), {**sent, "transient_codes": "404, 550"}).status_code == 302
    evening.ops.refresh_from_db()
    assert evening.ops.transient_codes == [404, 550]
    assert 'value="404,550"' in text_of(admin_client.get(page_of(evening.ops)))
    assert admin_client.post(page_of(evening.ops), {**sent, "transient_codes": ""}).status_code == 302
    evening.ops.refresh_from_db()
    assert evening.ops.transient_codes == []


def test_a_secret_that_is_left_empty_stays(admin_client: Client, evening: Evening) -> None:
    sent = filled(name="Pager", key="operations-pager", config_method="PUT")
    assert admin_client.post(page_of(evening.ops), sent).status_code == 302
    evening.ops.refresh_from_db()
    assert evening.ops.name == "Pager"
    config: Any = evening.ops.typed_config()
    assert config.method == "PUT"
    assert config.url == f"https://pager.example.org/{CANARY}"
    assert config.headers == {"Authorization": f"Bearer {CANARY}"}


def test_a_secret_is_replaced_or_cleared(admin_client: Client, evening: Evening) -> None:
    sent = filled(key="operations-pager", config_method="POST", config_secret=SECRET, config_headers__clear="on")
    assert admin_client.post(page_of(evening.ops), sent).status_code == 302
    evening.ops.refresh_from_db()
    config: Any = evening.ops.typed_config()
    assert (config.secret, config.headers) == (SECRET, {})
    assert evening.ops.secret_names == ["secret", "url"]
    html = text_of(admin_client.get(page_of(evening.ops)))
    assert "config_headers__clear" not in html
    assert SECRET not in html
    assert "config_url__clear" not in html, "one that the kind cannot do without is not cleared"


def test_what_was_logged_about_a_change_holds_no_secret(
    admin_client: Client, evening: Evening, caplog: pytest.LogCaptureFixture
) -> None:
    sent = filled(
        key="operations-pager", config_method="POST", config_secret=SECRET, config_url=f"https://x.org/{CANARY}"
    )
    admin_client.post(page_of(evening.ops), sent)
    admin_client.post(page_of(evening.ops), {**sent, "config_url": f"no address {CANARY}"})
    entries = [f"{entry.object_repr} {entry.change_message}" for entry in LogEntry.objects.all()]
    assert entries
    for text in (*entries, caplog.text):
        assert CANARY not in text
        assert SECRET not in text


def test_a_preset_fills_the_retries_that_are_empty(admin_client: Client) -> None:
    sent = filled(config_url="https://example.org/", config_method="POST", retry_preset="rust-srec", retry_cap_s="45")
    assert admin_client.post(f"{ADD}?kind=webhook", sent).status_code == 302
    channel = Channel.objects.get()
    assert (channel.max_attempts, channel.retry_base_s, channel.retry_cap_s) == (3, 5.0, 45.0)


def test_the_key_of_a_deleted_channel_can_be_given_again(admin_client: Client, evening: Evening) -> None:
    admin_client.post(page_of(evening.archive, "delete"))
    sent = filled(key="archive-mirror", config_url="https://example.org/", config_method="POST")
    assert admin_client.post(f"{ADD}?kind=webhook", sent).status_code == 302
    again = admin_client.post(f"{ADD}?kind=webhook", sent)
    assert "Another channel has this key." in text_of(again)


def test_a_test_shows_what_the_far_end_said(admin_client: Client, world: World, evening: Evening) -> None:
    evening.ops.configure({"url": world.sink_url("tried-out")})
    evening.ops.save()
    answer = admin_client.post(page_of(evening.ops, "test"), follow=True)
    assert "The test was taken by Operations pager" in text_of(answer)
    assert len(world.seen("sink/tried-out")) == 1
    assert Delivery.objects.filter(channel=evening.ops, notification__event_type="test").count() == 0


def test_a_test_that_fails_says_why(admin_client: Client, evening: Evening) -> None:
    evening.ops.configure({"url": "http://127.0.0.1:9/nobody"})
    evening.ops.save()
    answer = admin_client.post(page_of(evening.ops, "test"), follow=True)
    assert "The test did not arrive" in text_of(answer)
    assert "Sent a test: transient." in LogEntry.objects.latest("pk").change_message


def test_deleting_says_first_what_it_ends(admin_client: Client, evening: Evening) -> None:
    told = notification(evening.now, 1, "stream_online", "One more")
    delivery(told, evening.ops, State.PENDING, [])
    html = text_of(admin_client.get(page_of(evening.ops, "delete")))
    assert "<strong>2</strong> deliveries that wait for it will be cancelled" in html
    assert "streamer NightOwl" in html, "the policy that names it"
    assert Channel.objects.current().filter(pk=evening.ops.pk).exists()


def test_deleting_cancels_what_waits_and_forgets_secrets(admin_client: Client, evening: Evening) -> None:
    answer = admin_client.post(page_of(evening.ops, "delete"), follow=True)
    assert "Deliveries cancelled: 1." in text_of(answer)
    evening.ops.refresh_from_db()
    assert (evening.ops.secrets, evening.ops.enabled) == ("", False)
    assert not Delivery.objects.filter(channel=evening.ops, state="retrying").exists()
    assert evening.ops not in admin_client.get("/admin/channels_app/channel/").context["cl"].result_list
    gone = admin_client.get(page_of(evening.ops))
    assert gone.status_code == 200, "deliveries still lead to it"
    assert "Send a test" not in text_of(gone)


def test_a_channel_whose_kind_was_uninstalled_can_still_be_switched_off(admin_client: Client, evening: Evening) -> None:
    Channel.objects.filter(pk=evening.archive.pk).update(kind="gone")
    assert admin_client.get("/admin/channels_app/channel/").status_code == 200
    answer = admin_client.post(
        page_of(evening.archive), {"name": "Archive", "key": "archive", "retry_jitter": "unknown"}
    )
    assert answer.status_code == 302
    evening.archive.refresh_from_db()
    assert (evening.archive.enabled, evening.archive.name) == (False, "Archive")
    assert evening.archive.secrets, "its settings are kept for when it is back"


def test_secrets_whose_key_is_lost_are_an_error_and_not_a_crash(admin_client: Client, evening: Evening) -> None:
    Channel.objects.filter(pk=evening.ops.pk).update(secrets="v1:lost:nothing")
    answer = admin_client.post(page_of(evening.ops), filled(key="ops", config_method="POST"))
    assert answer.status_code == 200
    assert "cannot be opened" in text_of(answer)


def test_a_policy_that_names_a_deleted_channel_can_be_saved(admin_client: Client, evening: Evening) -> None:
    policy = Policy.objects.get(scope="streamer")
    admin_client.post(page_of(evening.ops, "delete"))
    sent = {"scope": "streamer", "streamer": evening.nightowl.pk, "enabled": "unknown", "names_channels": "True"}
    answer = admin_client.post(
        reverse("admin:notifications_policy_change", args=(policy.pk,)), {**sent, "channels": [evening.discord.pk]}
    )
    assert answer.status_code == 302
    assert [channel.key for channel in policy.channels.all()] == ["stream-alerts"]


def test_its_breaker_is_opened_and_closed_by_hand(admin_client: Client, evening: Evening) -> None:
    assert "Open the breaker" in text_of(admin_client.get(page_of(evening.discord)))
    answer = admin_client.post(f"{page_of(evening.discord).removesuffix('change/')}control/trip/", follow=True)
    assert "nothing is sent, everything waits" in text_of(answer)
    assert "tripped" in text_of(answer)
    answer = admin_client.post(f"{page_of(evening.discord).removesuffix('change/')}control/reset/", follow=True)
    assert "The breaker is closed." in text_of(answer)
    assert LogEntry.objects.filter(object_id=str(evening.discord.pk)).count() == 2


def test_a_quarantine_is_shown_with_its_evidence_and_ended_by_hand(admin_client: Client, evening: Evening) -> None:
    Channel.objects.filter(pk=evening.discord.pk).update(quarantined_at=evening.now, quarantine_reason="Answered 410.")
    html = text_of(admin_client.get(page_of(evening.discord)))
    assert "Out of service since" in html
    assert "Answered 410." in html
    admin_client.post(f"{page_of(evening.discord).removesuffix('change/')}control/restore/")
    evening.discord.refresh_from_db()
    assert evening.discord.quarantined_at is None


def test_new_settings_end_a_quarantine_and_a_new_name_does_not(admin_client: Client, evening: Evening) -> None:
    Channel.objects.filter(pk=evening.ops.pk).update(quarantined_at=evening.now, quarantine_reason="Answered 410.")
    admin_client.post(page_of(evening.ops), filled(name="Renamed", key="ops", config_method="POST"))
    evening.ops.refresh_from_db()
    assert evening.ops.quarantined_at is not None
    sent = filled(key="ops", config_method="POST", config_url="https://new.example.org/")
    assert "is back in service" in text_of(admin_client.post(page_of(evening.ops), sent, follow=True))
    evening.ops.refresh_from_db()
    assert evening.ops.quarantined_at is None


def test_saving_a_form_does_not_undo_what_workers_wrote_meanwhile(admin_client: Client, evening: Evening) -> None:
    def quarantine(**_: object) -> None:
        Channel.objects.filter(pk=evening.ops.pk).update(quarantined_at=evening.now)

    signals.pre_save.connect(quarantine, sender=Channel)
    try:
        admin_client.post(page_of(evening.ops), filled(key="ops", config_method="POST"))
    finally:
        signals.pre_save.disconnect(quarantine, sender=Channel)
    evening.ops.refresh_from_db()
    assert (evening.ops.key, evening.ops.quarantined_at) == ("ops", evening.now)


def test_no_other_button_is_there(admin_client: Client, evening: Evening) -> None:
    assert admin_client.post(f"{page_of(evening.ops).removesuffix('change/')}control/explode/").status_code == 403
