"""The form of a channel: its own columns, and the settings of its kind."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any, ClassVar

from django import forms

from channels_app import registry
from channels_app.configuration import InvalidConfig
from channels_app.models import Channel
from channels_app.secrets import NoSecretKeys, SecretUnreadable
from notifications.admin import config_field
from notifications.admin.config_field import ConfigField
from notifications.admin.generic import GenericForm
from notifications.admin.three_way import ThreeWay
from notifications.models import Streamer
from notifications.retry import PRESETS

_FIRST_NAME = re.compile(r"^\w+")


class ChannelForm(GenericForm[Channel]):
    """`settings` are the fields of the kind; the class for one kind, or one channel, is made by `form_for`."""

    kind: ClassVar[str] = ""
    settings: ClassVar[list[ConfigField]] = []

    retry_preset = forms.ChoiceField(
        required=False,
        label="Fill in from",
        choices=[("", "–"), *((name, name) for name in PRESETS)],
        help_text="Fills the retry fields below that are empty when you save.",
    )
    retry_jitter = forms.NullBooleanField(
        required=False, widget=ThreeWay("as usual (yes)"), help_text="Draw each wait at random."
    )

    class Meta:
        model = Channel
        fields = "__all__"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.kind:
            self.instance.kind = self.kind
        for field in self.settings:
            if field.form_name in self.fields:
                self.initial.setdefault(field.form_name, config_field.initial(field, self.instance.config))

    def clean_key(self) -> str:
        # Django leaves out a constraint whose condition is about a field that the form does not have.
        key: str = self.cleaned_data["key"]
        if Channel.objects.current().filter(key=key).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("Another channel has this key.")
        return key

    def clean_owner_key(self) -> str:
        key: str = self.cleaned_data["owner_key"]
        if key and not Streamer.objects.filter(key=key).exists():
            raise forms.ValidationError(f"No streamer has the key {key!r}.")
        return key

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name, value in _preset(cleaned.get("retry_preset", "")).items():
            if cleaned.get(name) is None:
                cleaned[name] = value
        if self.settings and not any(name.startswith(config_field.PREFIX) for name in self.errors):
            self._configure(cleaned)
        return cleaned

    def _configure(self, cleaned: dict[str, Any]) -> None:
        settings = {field.name: config_field.taken(field, cleaned) for field in self.settings}
        given = {name: value for name, value in settings.items() if value is not config_field.UNSET}
        try:
            self.instance.configure(given)
        except InvalidConfig as error:
            self.add_error(self._place(error.field), error.text)
        except (NoSecretKeys, SecretUnreadable) as error:
            self.add_error(None, str(error))

    def _place(self, path: str) -> str | None:
        """The form field of a path such as `headers.Accept` or `to[0]`; None: it is about all of them."""
        first = _FIRST_NAME.match(path)
        name = config_field.PREFIX + first.group() if first else ""
        return name if name in self.fields else None


def _preset(name: str) -> dict[str, Any]:
    if name not in PRESETS:
        return {}
    values = asdict(PRESETS[name])
    return {field if field == "max_attempts" else f"retry_{field}": value for field, value in values.items()}


def form_for(kind: str, channel: Channel | None) -> type[ChannelForm]:
    """The form class for a channel of `kind`; of a kind that is not installed, without its settings."""
    if kind not in registry.all_kinds():
        return type("ChannelForm", (ChannelForm,), {"kind": kind})
    settings = config_field.fields_of(registry.get(kind).Config)
    known = set(channel.secret_names) if channel is not None else set()
    members: dict[str, Any] = {"kind": kind, "settings": settings}
    for field in settings:
        is_set = field.secret and field.name in known
        members[field.form_name] = config_field.form_field(field, is_set=is_set)
        if is_set and not field.required:
            members[field.clear_name] = config_field.clear_field(field)
    return type("ChannelForm", (ChannelForm,), members)
