"""Every installed transport keeps every clause of the contract."""

from __future__ import annotations

import pytest

from channels_app import registry
from tests.contracts.contract import Clause, clauses_of

BOUND = [(transport, clause) for transport in registry.all_transports() for clause in clauses_of(transport)]


@pytest.mark.parametrize(
    ("transport", "clause"), BOUND, ids=[f"{transport.kind}-{clause.__name__}" for transport, clause in BOUND]
)
def test_a_transport_keeps_the_contract(transport: registry.AnyTransport, clause: Clause) -> None:
    clause(transport)


def test_the_transports_to_start_with_are_here() -> None:
    assert {"discord", "email", "server_log", "webhook"} <= set(registry.all_kinds())
