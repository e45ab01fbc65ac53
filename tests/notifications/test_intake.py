"""Accepting: all or nothing, once for each key, and with nobody else at hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from notifications import clock
from notifications.draft import MAX_DATA_BYTES, Draft
from notifications.intake import Accepted, IdempotencyConflict, Refused, accept
from notifications.models import ApiKey, Notification, Streamer, acceptance
from tests.notifications.brokers import frozen_broker, no_broker
from tests.notifications.scene import a_draft, at_once, route

TAKEN = "Another notification was accepted"


def accepted(*drafts: Draft, producer: ApiKey | None = None, bulk: bool = True) -> list[Accepted]:
    return accept(drafts, producer=producer, now=clock.now(), bulk=bulk)


def refused(*drafts: Draft, producer: ApiKey | None = None, bulk: bool = False) -> list[str]:
    """The fields that are named; nothing was written."""
    with pytest.raises(Refused) as caught:
        accepted(*drafts, producer=producer, bulk=bulk)
    assert all(text.endswith(".") for _, text in caught.value.problems)
    assert not Notification.objects.exists()
    return [field for field, _ in caught.value.problems]


def a_key(**fields: Any) -> ApiKey:
    return ApiKey.objects.issue("recorder", role=ApiKey.Role.PRODUCER, **fields)[0]


@pytest.mark.django_db
class TestWhatIsKept:
    def test_everything_is_kept_as_it_was_sent(self) -> None:
        now = clock.now()
        later = now + timedelta(hours=1)
        data = {
            "näme": "🔔 שלום \u202e مرحبا",
            "n": [1, 2.5, None, True, {"x": ""}],
            "big": 2**80,
            "\\u0000": "\\u0000",
        }
        draft = a_draft(
            event_type="StreamOnline",
            title="🔔" * 500,
            body="שלום\n\t",
            data=data,
            priority="critical",
            recipients=["a", "b,c", "{x}", 'say "hi"', "NULL"],
            scheduled_at=later,
            expires_at=later + timedelta(seconds=1),
        )
        [answer] = accepted(draft)
        row = Notification.objects.get()
        assert (answer.id, answer.event_type, answer.repeated) == (row.pk, "stream_online", False)
        assert answer.accepted_at <= row.accepted_at
        assert (row.event_type, row.priority, row.title, row.body) == ("stream_online", 10, "🔔" * 500, "שלום\n\t")
        assert row.data == data
        assert row.recipients == ["a", "b,c", "{x}", 'say "hi"', "NULL"]
        assert (row.scheduled_at, row.expires_at) == (later, later + timedelta(seconds=1))
        assert (row.routed_at, row.withdrawn_at, row.idempotency_key) == (None, None, None)

    def test_answers_come_in_the_order_of_the_drafts_and_ids_grow(self) -> None:
        answers = accepted(*(a_draft(title=str(n)) for n in range(1000)))
        titles = dict(Notification.objects.values_list("id", "title"))
        assert [titles[one.id] for one in answers] == [str(n) for n in range(1000)]
        assert [one.id for one in answers] == sorted(one.id for one in answers)

    def test_a_producer_who_names_no_priority_gets_the_usual_one(self) -> None:
        accepted(a_draft(event_type="out_of_space"), a_draft(event_type="order.paid"))
        assert sorted(Notification.objects.values_list("priority", flat=True)) == [5, 10]

    def test_a_key_that_speaks_for_a_streamer_puts_its_name_on_everything(self) -> None:
        aurora = Streamer.objects.create(key="aurora", name="Aurora")
        accepted(a_draft(), a_draft(streamer="aurora"), producer=a_key(streamer=aurora))
        assert set(Notification.objects.values_list("streamer__key", flat=True)) == {"aurora"}

    def test_data_may_be_as_large_as_it_may_be(self) -> None:
        accepted(a_draft(data={"x": "y" * (MAX_DATA_BYTES - len('{"x":""}'))}))
        assert Notification.objects.count() == 1

    def test_numbers_beyond_every_column_are_only_text(self) -> None:
        accepted(a_draft(data={"x": 1e308, "y": 10**400, "z": 5e-324}))
        assert Notification.objects.get().data["y"] == 10**400


@pytest.mark.django_db
class TestWhatIsRefused:
    def test_only_who_speaks_for_all_tells_everyone(self) -> None:
        streamer = Streamer.objects.create(key="aurora", name="Aurora")
        bound, _ = ApiKey.objects.issue("bound", role="producer", streamer=streamer)
        free, _ = ApiKey.objects.issue("free", role="producer")
        assert refused(a_draft(recipients=["*"]), producer=bound) == ["recipients"]
        assert refused(a_draft(recipients=["*"], streamer="none"), producer=bound) == ["recipients", "streamer"]
        for recipients, producer in ((["*"], free), (["ada"], bound)):
            assert accept([a_draft(recipients=recipients)], producer=producer, now=clock.now())

    def test_an_unknown_streamer_is_named(self) -> None:
        assert refused(a_draft(streamer="nobody")) == ["streamer"]

    def test_another_keys_streamer_is_refused(self) -> None:
        aurora, boreas = (Streamer.objects.create(key=key, name=key) for key in ("aurora", "boreas"))
        assert refused(a_draft(streamer=boreas.key), producer=a_key(streamer=aurora)) == ["streamer"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("title", "a\0"),
            ("body", "\0"),
            ("streamer", "a\0"),
            ("idempotency_key", "\0k"),
            ("recipients", ["\0"]),
            ("data", {"a": "\0"}),
            ("data", {"\0": "a"}),
            ("data", {"a": [{"b": "x\0y"}]}),
            ("data", {"a": "\\\0"}),
        ],
    )
    def test_nul_is_refused_wherever_it_stands(self, name: str, value: object) -> None:
        assert name in [field.partition("[")[0] for field in refused(a_draft(**{name: value}))]

    @pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "C:\\u0000x"])
    def test_the_text_of_an_escape_is_no_nul(self, text: str) -> None:
        accepted(a_draft(data={"a": text}))
        assert Notification.objects.get().data == {"a": text}

    @pytest.mark.parametrize("letter", ["y", "é", "🔔"])
    def test_data_over_64_kb_is_refused(self, letter: str) -> None:
        size = len(letter.encode())
        assert refused(a_draft(data={"x": letter * (MAX_DATA_BYTES // size + 1)})) == ["data"]

    def test_what_has_expired_is_refused(self) -> None:
        assert refused(a_draft(expires_at=clock.now() - timedelta(seconds=1))) == ["expires_at"]

    def test_one_bad_draft_refuses_the_bulk_and_its_place_is_told(self) -> None:
        drafts = [a_draft(), a_draft(title="\0"), a_draft(), a_draft(priority=11, streamer="nobody")]
        assert refused(*drafts, bulk=True) == [
            "notifications[1].title",
            "notifications[3].priority",
            "notifications[3].streamer",
        ]


@pytest.mark.django_db
class TestIdempotency:
    def test_the_same_key_gets_the_same_answer(self) -> None:
        first, again = (accepted(a_draft(idempotency_key="k", data={"a": 1, "b": 2}))[0] for _ in range(2))
        assert (again.id, again.accepted_at, again.event_type) == (first.id, first.accepted_at, first.event_type)
        assert (first.repeated, again.repeated) == (False, True)
        assert Notification.objects.count() == 1

    def test_the_order_of_keys_in_data_is_no_difference(self) -> None:
        accepted(a_draft(idempotency_key="k", data={"a": 1, "b": {"c": 1, "d": 2}}))
        [again] = accepted(a_draft(idempotency_key="k", data={"b": {"d": 2, "c": 1}, "a": 1}))
        assert again.repeated

    @pytest.mark.parametrize(
        "other", [{"title": "Other"}, {"data": {"a": 2}}, {"priority": 1}, {"recipients": ["x"]}, {"body": "x"}]
    )
    def test_another_notification_under_it_is_a_conflict(self, other: dict[str, Any]) -> None:
        accepted(a_draft(idempotency_key="k"))
        with pytest.raises(IdempotencyConflict, match=TAKEN) as conflict:
            accepted(a_draft(idempotency_key="k", **other), bulk=False)
        assert (conflict.value.key, conflict.value.path) == ("k", "idempotency_key")
        assert Notification.objects.count() == 1

    def test_a_conflict_in_a_bulk_writes_nothing_of_it(self) -> None:
        accepted(a_draft(idempotency_key="k"))
        with pytest.raises(IdempotencyConflict) as conflict:
            accepted(a_draft(title="new"), a_draft(idempotency_key="k", title="Other"), a_draft(title="new"))
        assert conflict.value.path == "notifications[1].idempotency_key"
        assert Notification.objects.count() == 1

    def test_twice_in_one_bulk_is_once(self) -> None:
        one, two, three = accepted(*(a_draft(idempotency_key="k") for _ in range(2)), a_draft())
        assert one.id == two.id != three.id
        assert (one.repeated, two.repeated) == (False, True)
        assert Notification.objects.count() == 2

    def test_twice_in_one_bulk_with_different_words_is_a_conflict(self) -> None:
        with pytest.raises(IdempotencyConflict):
            accepted(a_draft(idempotency_key="k"), a_draft(idempotency_key="k", title="Other"))
        assert not Notification.objects.exists()

    def test_a_repeated_bulk_is_the_same_bulk(self) -> None:
        drafts = [a_draft(idempotency_key=str(n)) for n in range(50)] + [a_draft()]
        first, again = accepted(*drafts), accepted(*reversed(drafts))
        assert [one.id for one in again[1:]] == [one.id for one in reversed(first[:-1])]
        assert Notification.objects.count() == 52

    def test_without_a_key_nothing_is_the_same(self) -> None:
        one, two, three = accepted(a_draft(), a_draft(idempotency_key=None), a_draft())
        assert len({one.id, two.id, three.id}) == 3

    def test_keys_of_different_producers_do_not_meet(self) -> None:
        producers = [None, a_key(), a_key()]
        answers = [accepted(a_draft(idempotency_key="k"), producer=one)[0] for one in producers]
        assert len({one.id for one in answers}) == 3
        assert [accepted(a_draft(idempotency_key="k"), producer=one)[0].id for one in producers] == [
            one.id for one in answers
        ]

    def test_a_past_expiry_does_not_spoil_a_repeat_that_was_in_time(self) -> None:
        soon = clock.now() + timedelta(seconds=30)
        draft = a_draft(idempotency_key="k", expires_at=soon)
        [first] = accept([draft], producer=None, now=clock.now())
        [again] = accept([draft], producer=None, now=soon - timedelta(microseconds=1))
        assert again.id == first.id


@pytest.mark.django_db
class TestRepeatsThatWouldBeRefusedToday:
    """A producer that got no answer repeats for hours; what was accepted then is answered as it was."""

    SOON = timedelta(seconds=30)
    LATER = timedelta(hours=5)

    def expiring(self, key: str = "k", **fields: Any) -> Draft:
        return a_draft(idempotency_key=key, expires_at=clock.now() + self.SOON, **fields)

    def later(self, *drafts: Draft, bulk: bool = True, producer: ApiKey | None = None) -> list[Accepted]:
        return accept(drafts, producer=producer, now=clock.now() + self.LATER, bulk=bulk)

    def test_it_expired_meanwhile(self) -> None:
        draft = self.expiring(event_type="StreamOnline")
        [first], [again] = accepted(draft), self.later(draft, bulk=False)
        assert (again.id, again.accepted_at, again.event_type) == (first.id, first.accepted_at, "stream_online")
        assert again.repeated

    def test_its_streamer_was_deleted_meanwhile(self) -> None:
        aurora = Streamer.objects.create(key="aurora", name="Aurora")
        draft = a_draft(idempotency_key="k", streamer="aurora")
        [first] = accepted(draft)
        aurora.delete()
        assert accepted(draft)[0].id == first.id

    def test_its_key_speaks_for_another_streamer_since(self) -> None:
        aurora, boreas = (Streamer.objects.create(key=key, name=key) for key in ("aurora", "boreas"))
        producer, draft = a_key(streamer=aurora), a_draft(idempotency_key="k", streamer="aurora")
        [first] = accepted(draft, producer=producer)
        producer.streamer = boreas
        assert accepted(draft, producer=producer)[0].id == first.id

    def test_another_notification_under_the_key_is_refused_for_what_is_wrong_with_it(self) -> None:
        draft = self.expiring()
        accepted(draft)
        with pytest.raises(Refused, match="expires_at"):
            self.later(a_draft(idempotency_key="k", title="Other", expires_at=draft.expires_at))

    def test_the_key_of_another_producer_helps_nobody(self) -> None:
        draft = self.expiring()
        accepted(draft, producer=a_key())
        for producer in (None, a_key()):
            with pytest.raises(Refused):
                self.later(draft, producer=producer)

    def test_in_bulk_each_gets_its_answer_in_order_and_what_is_new_is_accepted(self) -> None:
        drafts = [self.expiring("one"), a_draft(), self.expiring("two"), a_draft(idempotency_key="three")]
        first = accepted(*drafts)
        again = self.later(*drafts)
        assert [one.repeated for one in again] == [True, False, True, True]
        assert [again[place].id for place in (0, 2, 3)] == [first[place].id for place in (0, 2, 3)]
        assert Notification.objects.count() == 5

    def test_in_bulk_one_that_was_never_accepted_refuses_all_and_is_the_one_that_is_named(self) -> None:
        accepted(self.expiring("one", title="x"))
        known = a_draft(idempotency_key="two", expires_at=clock.now() + self.SOON)
        accepted(known)
        with pytest.raises(Refused) as caught:
            self.later(known, a_draft(), self.expiring("new"), a_draft(idempotency_key="a\0"))
        fields = [field for field, _ in caught.value.problems]
        assert fields == ["notifications[2].expires_at", "notifications[3].idempotency_key"]
        assert Notification.objects.count() == 2


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_what_was_written_with_others_is_answered_again_after_it_expired(self) -> None:
        soon = clock.now() + timedelta(seconds=30)
        drafts = [a_draft(idempotency_key=str(n), expires_at=soon) for n in range(8)]
        first = at_once(*[partial(accepted, one, bulk=False) for one in drafts])
        again = at_once(*[partial(accept, [one], producer=None, now=soon) for one in drafts])
        assert [one.id for [one] in again] == [one.id for [one] in first]
        mixed = accept([drafts[0], a_draft(idempotency_key="new")], producer=None, now=soon, bulk=True)
        assert [one.repeated for one in mixed] == [True, False]

    @pytest.mark.parametrize("beside", [[], [a_draft()]], ids=["alone", "in bulk"])
    def test_what_is_pruned_just_when_it_is_repeated_is_new(
        self, beside: list[Draft], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        draft, look = a_draft(idempotency_key="k"), acceptance.standing
        [first] = accepted(draft)

        def prune_and_look(keys: Any) -> Any:
            monkeypatch.setattr(acceptance, "standing", look)
            with psycopg.connect(**connection.get_connection_params()) as elsewhere:
                elsewhere.execute("DELETE FROM notifications_notification WHERE id = %s", [first.id])
            return look(keys)

        monkeypatch.setattr(acceptance, "standing", prune_and_look)
        again = accepted(draft, *beside)[0]
        assert again.id != first.id
        assert not again.repeated

    def test_a_conflict_in_a_bulk_of_one_is_named_by_its_place(self) -> None:
        accepted(a_draft(idempotency_key="k"))
        with pytest.raises(IdempotencyConflict) as conflict:
            accepted(a_draft(idempotency_key="k", title="Other"))
        assert conflict.value.path == "notifications[0].idempotency_key"

    def test_eight_at_once_under_one_key_make_one_row(self) -> None:
        answers = at_once(*[lambda: accepted(a_draft(idempotency_key="k"))[0]] * 8)
        assert len({one.id for one in answers}) == 1
        assert sum(not one.repeated for one in answers) == 1
        assert Notification.objects.count() == 1

    def test_eight_at_once_with_different_words_leave_one_and_seven_conflicts(self) -> None:
        def attempt(title: str) -> bool:
            try:
                accepted(a_draft(idempotency_key="k", title=title))
            except IdempotencyConflict:
                return False
            return True

        results = at_once(*[partial(attempt, str(n)) for n in range(8)])
        assert sum(results) == 1
        assert Notification.objects.count() == 1

    def test_bulks_that_share_keys_in_opposite_orders_do_not_lock_each_other_out(self) -> None:
        drafts = [a_draft(idempotency_key=str(n)) for n in range(1000)]
        answers = at_once(*[partial(accepted, *order) for order in (drafts, drafts[::-1]) * 2])
        assert Notification.objects.count() == 1000
        assert {one.id for one in answers[0]} == {one.id for one in answers[1]}

    def test_what_is_rolled_back_was_never_accepted(self) -> None:
        with transaction.atomic():
            accepted(a_draft())
            transaction.set_rollback(True)
        assert not Notification.objects.exists()
        assert route() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("trouble", [no_broker, frozen_broker])
def test_acceptance_needs_nobody_but_postgres(trouble: Callable[[], AbstractContextManager[object]]) -> None:
    with trouble():
        began = time.monotonic()
        for _ in range(20):
            accepted(a_draft())
        assert time.monotonic() - began < 2
    assert Notification.objects.count() == 20
