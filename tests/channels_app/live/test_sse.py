from __future__ import annotations

import json

from tests.channels_app.live.running import Running, tell


def test_what_is_written_into_a_feed_comes_at_once(live: Running) -> None:
    live.wait_for_bus()
    with live.stream("ada") as stream:
        hello = json.loads(stream.until("hello").data)
        assert hello["recovered"] is True
        state = json.loads(stream.until("state").data)
        assert state == {"cursor": "1-0", "unread": 0, "read_upto": 0}
        tell("ada", "first")
        event = stream.next()
        print(event)
        assert (event.event, event.id) == ("new", "1-1")
        assert json.loads(event.data)["title"] == "first"
