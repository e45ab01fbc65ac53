"""The Discord of the outside world, asked by a client that is not ours."""

import math
import time

import requests

from project.outside import Limit, World

HELLO = {"content": "hello"}


def test_a_message_is_taken_without_a_word(world: World) -> None:
    answer = requests.post(world.discord_url("quiet"), json=HELLO)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [line.accepted for line in world.seen("discord/quiet")] == [True]


def test_wait_answers_with_the_message(world: World) -> None:
    url = world.discord_url("waiting")
    embeds = [{"title": "Live now", "color": 0x3498DB}]
    answer = requests.post(url, params={"wait": "true"}, json={"content": "hi", "embeds": embeds, "username": "Bell"})
    message = answer.json()
    assert answer.status_code == 200
    assert message["content"] == "hi"
    assert message["embeds"][0]["title"] == "Live now"
    assert message["author"]["username"] == "Bell"
    assert message["id"].isdecimal()


def test_the_versioned_path_is_the_same_webhook(world: World) -> None:
    url = world.discord_url("versioned").replace("/api/", "/api/v10/")
    assert requests.post(url, json=HELLO).status_code == 204


def test_an_unknown_webhook_is_told_by_its_code(world: World) -> None:
    answer = requests.post(f"{world.url}/api/webhooks/123456789012345678/token", json=HELLO)
    assert answer.status_code == 404
    assert answer.json() == {"message": "Unknown Webhook", "code": 10015}


def test_a_deleted_webhook_is_unknown(world: World) -> None:
    url = world.discord_url("deleted")
    world.discord.delete("deleted")
    assert requests.post(url, json=HELLO).json()["code"] == 10015


def test_a_wrong_token_is_unauthorized(world: World) -> None:
    answer = requests.post(world.discord_url("guarded") + "x", json=HELLO)
    assert (answer.status_code, answer.json()["code"]) == (401, 50027)


def test_a_bad_form_names_its_faults(world: World) -> None:
    answer = requests.post(world.discord_url("strict"), json={"embeds": [{"title": "x" * 257}]})
    body = answer.json()
    assert (answer.status_code, body["code"], body["message"]) == (400, 50035, "Invalid Form Body")
    assert body["errors"]["embeds"]["0"]["title"]["_errors"][0]["code"] == "BASE_TYPE_MAX_LENGTH"
    assert [line.accepted for line in world.seen("discord/strict")] == [False]


def test_an_empty_message_and_broken_json_have_their_codes(world: World) -> None:
    url = world.discord_url("empty")
    assert requests.post(url, json={"content": ""}).json()["code"] == 50006
    assert requests.post(url, data=HELLO).json()["code"] == 50006
    broken = requests.post(url, data=b"{", headers={"Content-Type": "application/json"})
    assert broken.json()["code"] == 50109


def test_every_answer_says_what_is_left_of_the_bucket(world: World) -> None:
    url = world.discord_url("counted")
    answers = [requests.post(url, json=HELLO) for _ in range(3)]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2"]
    last = answers[-1].headers
    assert last["X-RateLimit-Limit"] == "5"
    assert 0 < float(last["X-RateLimit-Reset-After"]) <= 2
    assert abs(float(last["X-RateLimit-Reset"]) - time.time()) < 3
    assert last["X-RateLimit-Bucket"] == answers[0].headers["X-RateLimit-Bucket"]


def test_the_sixth_message_in_two_seconds_has_to_wait(world: World) -> None:
    url = world.discord_url("busy")
    first = [requests.post(url, json=HELLO).status_code for _ in range(5)]
    answer = requests.post(url, json=HELLO)
    body = answer.json()
    assert first == [204] * 5
    assert answer.status_code == 429
    assert body["message"] == "You are being rate limited."
    assert body["global"] is False
    assert 0 < body["retry_after"] <= 2
    assert answer.headers["Retry-After"] == str(math.ceil(body["retry_after"]))
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert answer.headers["X-RateLimit-Scope"] == "user"


def test_who_waits_as_told_is_served_again(world: World) -> None:
    url = world.discord_url("patient", limit=Limit(requests=1, window_s=0.2))
    requests.post(url, json=HELLO)
    time.sleep(requests.post(url, json=HELLO).json()["retry_after"] + 0.01)
    assert requests.post(url, json=HELLO).status_code == 204


def test_webhooks_have_buckets_of_their_own(world: World) -> None:
    one, other = (world.discord_url(name, limit=Limit(1, 60)) for name in ("own-1", "own-2"))
    assert [requests.post(url, json=HELLO).status_code for url in (one, other, one)] == [204, 204, 429]


def test_the_id_in_the_footer_makes_a_duplicate_visible(world: World) -> None:
    url = world.discord_url("twice")
    name = "msg_" + "0a" * 16 + "_12"
    message = {"embeds": [{"title": "Live", "footer": {"text": f"Belfry · stream_online · {name}"}}]}
    for _ in range(2):
        requests.post(url, json=message)
    assert world.duplicates("discord/twice") == {name: 2}


def test_a_webhook_that_is_told_to_fail_fails_and_comes_back(world: World) -> None:
    url = world.discord_url("failing")
    world.behave("discord/failing", "down:for_requests=1")
    assert [requests.post(url, json=HELLO).status_code for _ in range(2)] == [503, 204]
