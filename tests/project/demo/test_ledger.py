"""The ledger finds what is missing and what came twice, and nothing falls out of it."""

from hypothesis import given
from hypothesis import strategies as st

from project.demo.ledger import DeliveryFact, Ledger, NotificationFact, draw_up

STATES = ["pending", "scheduled", "sending", "retrying", "delivered", "suppressed", "dead", "cancelled"]


def delivery(name: str, state: str, *, attempts: int = 1, channel: str = "ops") -> DeliveryFact:
    return DeliveryFact(name, channel, "webhook", state, attempts)


def notification(name: str, *deliveries: DeliveryFact, state: str = "waiting") -> NotificationFact:
    return NotificationFact(name, state, deliveries)


def account_of(fact: NotificationFact, seen: dict[str, int]) -> str:
    """The one account that a single notification is in."""
    ledger = draw_up([fact.id], [fact], seen)
    accounts = ["delivered", "suppressed", "cancelled", "dead", "waiting", "lost"]
    [account] = [name for name in accounts if getattr(ledger, name)]
    return account


def test_what_arrived_and_was_seen_is_delivered() -> None:
    assert account_of(notification("n", delivery("a", "delivered")), {"a": 1}) == "delivered"


def test_what_is_said_to_be_delivered_and_was_never_seen_is_lost() -> None:
    fact = notification("n", delivery("a", "delivered"), delivery("b", "delivered"))
    ledger = draw_up(["n"], [fact], {"a": 1})
    assert (ledger.lost, ledger.delivered, ledger.lost_ids) == (1, 0, ("b",))
    assert ledger.deliveries["lost"] == 1
    assert ledger.balances


def test_what_was_accepted_and_is_not_known_is_lost() -> None:
    ledger = draw_up(["n", "m"], [notification("n", delivery("a", "delivered"))], {"a": 1})
    assert (ledger.accepted, ledger.delivered, ledger.lost, ledger.lost_ids) == (2, 1, 1, ("m",))


def test_a_state_that_is_none_is_no_account() -> None:
    assert account_of(notification("n", state="nowhere"), {}) == "lost"


def test_what_came_twice_is_a_duplicate_once() -> None:
    ledger = draw_up(["n"], [notification("n", delivery("a", "delivered"))], {"a": 2})
    assert (ledger.duplicates, ledger.lost, ledger.delivered) == (1, 0, 1)
    assert ledger.channels["webhook"]["ops"]["duplicates"] == 1


def test_what_the_world_took_though_belfry_does_not_say_so_is_unclaimed() -> None:
    ledger = draw_up(["n"], [notification("n", delivery("a", "retrying"))], {"a": 1})
    assert (ledger.waiting, ledger.deliveries["unclaimed"], ledger.deliveries["seen_outside"]) == (1, 1, 1)


def test_an_open_delivery_comes_before_a_dead_one_and_that_before_a_delivered_one() -> None:
    delivered, dead, waiting = delivery("a", "delivered"), delivery("b", "dead"), delivery("c", "retrying")
    assert account_of(notification("n", delivered, dead, waiting), {"a": 1}) == "waiting"
    assert account_of(notification("n", delivered, dead), {"a": 1}) == "dead"
    assert account_of(notification("n", delivered, delivery("c", "suppressed")), {"a": 1}) == "delivered"
    assert account_of(notification("n", delivery("a", "suppressed"), delivery("b", "cancelled")), {}) == "cancelled"


def test_where_there_is_no_delivery_the_notification_speaks_for_itself() -> None:
    assert account_of(notification("n", state="suppressed"), {}) == "suppressed"
    assert account_of(notification("n", state="waiting"), {}) == "waiting"


def test_what_somebody_else_sent_is_not_in_it() -> None:
    ledger = draw_up(["n"], [notification("n", state="suppressed"), notification("other", delivery("x", "dead"))], {})
    assert (ledger.accepted, ledger.dead, ledger.deliveries["dead"]) == (1, 0, 0)


def test_retried_counts_notifications_with_more_than_one_attempt() -> None:
    facts = [
        notification("n", delivery("a", "delivered", attempts=3), delivery("b", "delivered", attempts=2)),
        notification("m", delivery("c", "delivered")),
    ]
    ledger = draw_up(["n", "m"], facts, {"a": 1, "b": 1, "c": 1})
    assert (ledger.retried, ledger.deliveries["retried"]) == (1, 2)


def test_channels_are_counted_below_their_kinds() -> None:
    facts = [notification("n", delivery("a", "delivered", channel="ops"), delivery("b", "dead", channel="old"))]
    channels = draw_up(["n"], facts, {"a": 1}).channels["webhook"]
    assert (channels["ops"]["delivered"], channels["old"]["dead"], channels["old"]["seen_outside"]) == (1, 1, 0)


def test_a_ledger_that_does_not_add_up_says_so() -> None:
    assert not Ledger(accepted=3, delivered=2).balances


@given(
    known=st.lists(st.tuples(st.lists(st.sampled_from(STATES), max_size=4), st.booleans()), max_size=30),
    forgotten=st.integers(0, 3),
    unseen=st.sets(st.integers(0, 60)),
)
def test_it_always_balances(known: list[tuple[list[str], bool]], forgotten: int, unseen: set[int]) -> None:
    facts, seen, number = [], {}, 0
    for index, (states, _) in enumerate(known):
        deliveries = []
        for state in states:
            number += 1
            deliveries.append(delivery(str(number), state))
            if state == "delivered" and number not in unseen:
                seen[str(number)] = 1
        facts.append(notification(f"n{index}", *deliveries, state="suppressed"))
    accepted = [fact.id for fact in facts] + [f"forgotten{index}" for index in range(forgotten)]
    ledger = draw_up(accepted, facts, seen)
    assert ledger.balances
    assert ledger.lost >= forgotten
    assert (ledger.lost == 0) == (ledger.lost_ids == ())
