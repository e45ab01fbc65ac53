"""Channel secrets at rest."""

from __future__ import annotations

import traceback

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from channels_app.secrets import NoSecretKeys, SecretBox, SecretUnreadable, default_box

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
CANARY = "canary-4f1e"


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_what_was_sealed_is_opened_unchanged(secrets: dict[str, object]) -> None:
    box = SecretBox({"k1": NEW})
    assert box.open(box.seal(secrets)) == secrets


def test_the_stored_text_names_the_key_and_hides_the_secret() -> None:
    sealed = SecretBox({"k2": NEW, "k1": OLD}).seal({"token": CANARY})
    assert sealed.startswith("v1:k2:")
    assert CANARY not in sealed


def test_the_same_secret_never_looks_the_same_twice() -> None:
    box = SecretBox({"k1": NEW})
    assert box.seal({"token": CANARY}) != box.seal({"token": CANARY})


def test_an_old_key_still_opens_and_rotate_moves_to_the_current_one() -> None:
    sealed = SecretBox({"k1": OLD}).seal({"token": CANARY})
    both = SecretBox({"k2": NEW, "k1": OLD})
    rotated = both.rotate(sealed)
    assert both.open(sealed) == {"token": CANARY}
    assert rotated.startswith("v1:k2:")
    assert SecretBox({"k2": NEW}).open(rotated) == {"token": CANARY}


def test_rotate_leaves_what_is_already_current() -> None:
    box = SecretBox({"k1": NEW})
    sealed = box.seal({"token": CANARY})
    assert box.rotate(sealed) == sealed


def test_an_unknown_key_is_named() -> None:
    sealed = SecretBox({"k1": OLD}).seal({"token": CANARY})
    with pytest.raises(SecretUnreadable, match="'k1' is not in BELFRY_CHANNEL_KEYS") as caught:
        SecretBox({"k2": NEW}).open(sealed)
    assert caught.value.key_id == "k1"


def test_a_key_id_with_another_key_behind_it_opens_nothing() -> None:
    sealed = SecretBox({"k1": OLD}).seal({"token": CANARY})
    with pytest.raises(SecretUnreadable, match="does not fit"):
        SecretBox({"k1": NEW}).open(sealed)


def test_any_changed_character_is_noticed() -> None:
    box = SecretBox({"k1": NEW})
    sealed = box.seal({"token": CANARY})
    for at in range(len(sealed) - 4):  # the last characters of base64 may hold bits without a meaning
        changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
        with pytest.raises(SecretUnreadable):
            box.open(changed)


@pytest.mark.parametrize("text", ["", "v1", "v1:", "v1:k1", "v2:k1:abc", "plain secret", "v1:k1:", "v1:k1:\u20ac"])
def test_what_is_not_sealed_is_never_taken_for_a_secret(text: str) -> None:
    with pytest.raises(SecretUnreadable):
        SecretBox({"k1": NEW}).open(text)


def test_without_keys_nothing_works_and_the_setting_is_named(settings: Settings) -> None:
    with pytest.raises(NoSecretKeys, match="BELFRY_CHANNEL_KEYS"):
        SecretBox({})
    settings.BELFRY_CHANNEL_KEYS = {}
    with pytest.raises(NoSecretKeys):
        default_box()


def test_a_bad_key_is_named_by_its_id_alone() -> None:
    with pytest.raises(ValueError, match="'k1' is not a Fernet key") as caught:
        SecretBox({"k1": CANARY})
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_the_default_box_follows_the_settings(settings: Settings) -> None:
    settings.BELFRY_CHANNEL_KEYS = {"a": OLD}
    sealed = default_box().seal({"token": CANARY})
    settings.BELFRY_CHANNEL_KEYS = {"b": NEW, "a": OLD}
    assert default_box().open(sealed) == {"token": CANARY}
    assert default_box() is default_box()


def test_neither_repr_nor_errors_show_a_secret_or_a_key() -> None:
    box = SecretBox({"k1": NEW})
    sealed = box.seal({"token": CANARY})
    with pytest.raises(SecretUnreadable) as caught:
        box.open(sealed[:-8])
    shown = repr(box) + "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    for hidden in (CANARY, NEW, OLD, sealed[6:]):
        assert hidden not in shown
