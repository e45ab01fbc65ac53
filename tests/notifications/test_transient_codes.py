"""What a channel calls transient: a refusal for good becomes one that may pass, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from channels_app.models import Channel
from channels_app.outcomes import Outcome, Verdict
from notifications import clock, trial
from notifications.carriers.base import as_taken_here
from notifications.models import DeadLetter
from notifications.rulebook import ChannelInUse
from notifications.tasks import deliver
from project.outside import World
from tests.notifications.scene import a_delivery, channel_at, configured, drain, outcomes, states, the_delivery

#: Tried again at once.
HASTY: dict[str, Any] = {"retry_base_s": 0.0, "max_attempts": 3}

FROM = "Belfry <bell@belfry.invalid>"


def in_use(*codes: int) -> ChannelInUse:
    channel = Channel(key="ops", kind="webhook", transient_codes=list(codes))
    channel.configure({"url": "https://a.example"})
    return ChannelInUse(channel)


def mails(world: World, to: str, **fields: Any) -> Channel:
    server = {"host": world.smtp_host, "port": world.smtp_port, "security": "none"}
    return configured("email", {**server, "from_address": FROM, "to": [to]}, **fields)


class TestTheRule:
    @pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.PERMANENT])
    def test_whatever_is_not_permanent_stays_as_it_is(self, outcome: Outcome) -> None:
        verdict = Verdict(outcome, 404, "So it said.", 3.0)
        assert as_taken_here(verdict, in_use(404)) == verdict

    def test_a_refusal_that_is_listed_may_pass(self) -> None:
        refusal = Verdict(Outcome.PERMANENT, 404, "So it said.")
        assert as_taken_here(refusal, in_use(403, 404)) == Verdict(Outcome.TRANSIENT, 404, "So it said.")

    @pytest.mark.parametrize("codes", [(), (403,), (400, 405)])
    def test_one_that_is_not_listed_stays_one(self, codes: tuple[int, ...]) -> None:
        refusal = Verdict(Outcome.PERMANENT, 404)
        assert as_taken_here(refusal, in_use(*codes)) == refusal

    def test_what_was_never_asked_has_no_code_to_list(self) -> None:
        unbuilt = Verdict(Outcome.PERMANENT, 0, "It does not fit.")
        assert as_taken_here(unbuilt, in_use(*range(100, 150))) == unbuilt


@pytest.mark.django_db(transaction=True)
class TestOnTheWay:
    def test_a_place_that_is_missing_for_a_moment_is_told_later(self, world: World) -> None:
        url = world.behaving_url("missing:for_requests=1", "moved")
        patient = channel_at(f"{url}-for-one", transient_codes=[404], **HASTY)
        strict = channel_at(f"{url}-for-another", **HASTY)
        a_delivery(patient)
        a_delivery(strict)
        drain(linger_s=0.4)
        assert outcomes(the_delivery(patient)) == [("transient", 404), ("ok", 204)]
        assert outcomes(the_delivery(strict)) == [("permanent", 404)]
        assert (states(patient), states(strict)) == ({"delivered": 1}, {"dead": 1})

    def test_the_single_task_reads_it_alike(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.behaving_url("missing", "single"), transient_codes=[404]))
        assert deliver.apply(args=(delivery.pk,)).state == "RETRY"
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempts, delivery.reason_code) == ("retrying", 1, "transient")

    def test_a_mail_server_that_refuses_too_early_is_asked_again(self, world: World) -> None:
        world.behave("mail", "status=554,for_requests=1")
        channel = mails(world, "early@example.org", transient_codes=[554], **HASTY)
        a_delivery(channel, lane="blocking-normal")
        drain("blocking-normal", linger_s=0.4)
        assert outcomes(the_delivery(channel)) == [("transient", 554), ("ok", 250)]

    def test_it_is_not_tried_for_ever(self, world: World) -> None:
        channel = channel_at(world.behaving_url("missing", "for-ever"), transient_codes=[404], **HASTY)
        a_delivery(channel)
        drain(linger_s=0.4)
        letter = DeadLetter.objects.get()
        assert (letter.outcome, letter.code, letter.attempts) == ("transient", 404, 3)

    def test_a_destination_that_has_ended_is_quarantined_all_the_same(self, world: World) -> None:
        channel = channel_at(world.behaving_url("gone", "ended"), transient_codes=[410])
        a_delivery(channel)
        drain()
        channel.refresh_from_db()
        assert (states(channel), channel.quarantined_at is not None) == ({"dead": 1}, True)

    def test_a_test_message_shows_what_a_delivery_would_come_to(self, world: World) -> None:
        channel = channel_at(world.behaving_url("missing", "tested"), transient_codes=[404])
        verdict = trial.send_test(channel, by="ada", now=clock.now()).verdict
        assert (verdict.outcome, verdict.code) == (Outcome.TRANSIENT, 404)
