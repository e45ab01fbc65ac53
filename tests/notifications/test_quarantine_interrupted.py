"""Imposed or restored with all that belongs to it, or not at all; and whom nobody can tell stops nobody."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError

from notifications import clock, dispatch, intake, quarantine, rulebook
from notifications.models import Streamer, transitions
from notifications.rulebook import ChannelInUse
from notifications.states import State
from project.outside import World
from tests.notifications.quarantined import HERE, fresh, out_of_service, told
from tests.notifications.scene import (
    HOUR,
    a_delivery,
    at_once,
    channel_at,
    drain,
    eventually,
    in_background,
    many_deliveries,
    row_of,
    states,
    the_delivery,
)

pytestmark = pytest.mark.django_db(transaction=True)

Interrupt = Callable[[Callable[[], object]], None]


class TestAllOfItOrNothing:
    """Imposed or restored, with what belongs to it, also where a process dies or the database goes in between."""

    @pytest.fixture(params=["killed", "database away"])
    def interrupted(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Interrupt:
        """What is told next ends with an error, behind the first statement; then all is well again."""
        error = KeyboardInterrupt if request.param == "killed" else OperationalError

        def fail(*_: object, **__: object) -> None:
            monkeypatch.undo()
            raise error

        def interrupt(call: Callable[[], object]) -> None:
            monkeypatch.setattr(intake, "accept", fail)
            with pytest.raises(error):
                call()

        return interrupt

    def test_imposed(self, interrupted: Interrupt) -> None:
        channel = ChannelInUse(channel_at(HERE))
        interrupted(lambda: quarantine.impose(channel, "Gone.", clock.now()))
        assert fresh(channel.row).quarantined_at is None
        quarantine.impose(channel, "Gone.", clock.now())
        assert fresh(channel.row).quarantined_at is not None
        assert told() == ["channel_quarantined"]

    def test_restored(self, interrupted: Interrupt) -> None:
        channel = out_of_service(channel_at(HERE))
        delivery = a_delivery(channel, State.SCHEDULED, reason_code=quarantine.CODE, due_at=clock.now() + 6 * HOUR)
        before = row_of(delivery)
        interrupted(lambda: quarantine.restore(channel, by="ada", now=clock.now()))
        assert fresh(channel).quarantined_at is not None
        assert row_of(delivery) == before
        assert quarantine.restore(channel, by="ada", now=clock.now())
        assert row_of(delivery)["due_at"] <= clock.now() + timedelta(seconds=quarantine.RELEASE_SPREAD_S)
        assert told() == ["channel_restored"]

    def test_what_is_put_to_wait_before_its_return_is_seen_follows_too(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever restores has looked for what waits, and not committed, when a worker puts one more to wait."""
        channel = out_of_service(channel_at(world.sink_url("unseen")), probe_in=6 * HOUR)
        a_delivery(channel)
        row = transitions.claim_one(the_delivery(channel).pk, now=clock.now(), lease_s=20)
        results = dispatch.guard([row], rulebook.current(), clock.now()).results
        looked, go_on, accept = threading.Event(), threading.Event(), intake.accept

        def slowly(*args: Any, **kwargs: Any) -> Any:
            looked.set()
            assert go_on.wait(10)
            return accept(*args, **kwargs)

        monkeypatch.setattr(intake, "accept", slowly)
        restoring = in_background(lambda: quarantine.restore(channel, by="ada", now=clock.now()))
        assert looked.wait(10)
        settling = in_background(lambda: dispatch.settle(results, [], clock.now()))
        eventually(lambda: the_delivery(channel).state == "scheduled")
        settling.join(0.2)
        go_on.set()
        restoring.join(10)
        settling.join(10)
        assert fresh(channel).quarantined_at is None
        assert the_delivery(channel).due_at <= clock.now() + timedelta(seconds=quarantine.RELEASE_SPREAD_S)

    @pytest.mark.parametrize("refusal", [intake.Refused([("streamer", "Nobody has this key.")]), IntegrityError("fk")])
    def test_an_owner_who_cannot_be_told_stops_nobody(
        self, world: World, monkeypatch: pytest.MonkeyPatch, refusal: Exception
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise refusal

        ended, well = channel_at(world.behaving_url("gone", "untold")), channel_at(world.sink_url("well-beside"))
        many_deliveries([ended, well], 3)
        monkeypatch.setattr(intake, "accept", refuse)
        drain()
        assert states(well) == {"delivered": 3}
        assert fresh(ended).quarantined_at is not None
        assert quarantine.restore(ended, by="ada", now=clock.now())

    def test_an_owner_who_is_deleted_in_that_moment_stops_nothing(self) -> None:
        """Under his name or nobody's, as it happens; but it is imposed and restored, and told both times."""

        def delete(owner: Streamer) -> None:
            with contextlib.suppress(IntegrityError):  # There is something about him now.
                owner.delete()

        for n in range(8):
            owner = Streamer.objects.create(key=f"owner-{n}", name="Owner")
            channel = ChannelInUse(channel_at(HERE, f"owned-{n}", owner_key=owner.key))
            at_once(partial(quarantine.impose, channel, "Gone.", clock.now()), partial(delete, owner))
            assert quarantine.restore(fresh(channel.row), by="ada", now=clock.now())
        assert told() == ["channel_quarantined", "channel_restored"] * 8
