"""What the live process counts. `docs/operations.md` lists it."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_QUICK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

CONNECTIONS = Gauge("belfry_live_connections", "Open live connections.", ["transport"])
POLLS = Gauge("belfry_live_polls", "Long polls that wait.")
CONNECTS = Counter("belfry_live_connects_total", "Live connections that were asked for.", ["result"])
RESUMES = Counter("belfry_live_resumes_total", "Clients that came back with a cursor.", ["result"])
EVENTS = Counter("belfry_live_events_total", "Changes written to connections.", ["kind"])
HEALS = Counter("belfry_live_gap_heals_total", "Gaps in what the bus brought, closed from the feed.")
FIXES = Counter("belfry_live_position_fixes_total", "Connections found behind by comparing positions.")
OVERFLOWS = Counter("belfry_live_overflows_total", "Queues given up, to be read again from the feed.")
RESENDS = Counter("belfry_live_resends_total", "Rounds of sending again what was not acknowledged.")
CLOSES = Counter("belfry_live_closes_total", "Live connections that ended.", ["reason"])
TO_SOCKET = Histogram(
    "belfry_live_commit_to_socket_seconds", "From the commit of a change to its writing.", buckets=_QUICK_S
)
ACK = Histogram("belfry_live_ack_seconds", "From the commit of a change to its acknowledgement.", buckets=_QUICK_S)
BUS_UP = Gauge("belfry_live_bus_up", "1 while hints are read from Redis.")
BUS_LAG = Gauge("belfry_live_bus_lag_seconds", "Age of the last hint when it was read.")
BUS_SKIPS = Counter("belfry_live_bus_skips_total", "Times that hints were lost before they were read.")
TICKETS_UNCHECKED = Counter("belfry_live_tickets_unchecked_total", "Tickets taken without Redis knowing of their use.")
