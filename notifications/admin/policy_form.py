"""The form of a policy: every field can be left to the wider policy, and says so."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from channels_app.models import Channel
from notifications import catalogue, priority
from notifications.admin.generic import GenericForm
from notifications.admin.three_way import ThreeWay
from notifications.models import Policy

_INHERITED = "as the wider policy says"
_PATTERN = re.compile(r"^[A-Za-z0-9 _.:*?\-]{1,100}$")
_WIDELY_USED = {2: "low, debug", 5: "normal, info", 8: "high", 10: "critical"}


class Patterns(forms.CharField):
    """Event types with `*` and `?`, by comma or line; empty says nothing, which is None."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 60, "placeholder": "stream_*, download_error"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value))
        patterns = [pattern.strip() for pattern in re.split(r"[,\n]", text) if pattern.strip()]
        for pattern in patterns:
            if not _PATTERN.match(pattern):
                raise forms.ValidationError(f"{pattern!r} is no event type: use letters, digits, _ . : - and * or ?.")
        return [catalogue.canonical(pattern) for pattern in patterns] or None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), (data or "").replace("\r\n", "\n"))


def _choices() -> list[tuple[str, str]]:
    numbers = range(priority.LOWEST, priority.HIGHEST + 1)
    words = ((number, _WIDELY_USED.get(number, priority.label(number))) for number in numbers)
    return [("", _INHERITED), *((str(number), f"{number}: {word}") for number, word in words)]


def _known_types() -> SafeString:
    names = format_html_join(", ", "<code>{}</code>", ((name,) for name in catalogue.KNOWN))
    return format_html(
        "Patterns such as <code>stream_*</code>, by comma or line. Empty: {}."
        "<details><summary>Event types that Belfry knows</summary>{}; producers may send others too.</details>",
        _INHERITED,
        names,
    )


def channel_label(channel: Channel) -> str:
    """A channel among the choices: what it is, whose, and whether it is on."""
    notes = [channel.kind, *([f"{channel.owner_key} alone"] if channel.owner_key else [])]
    return f"{channel} ({', '.join([*notes, *([] if channel.enabled else ['off'])])})"


class ChannelChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Any) -> str:
        return channel_label(obj)


class PolicyForm(GenericForm[Policy]):
    enabled = forms.NullBooleanField(
        required=False, label="Notifications", widget=ThreeWay(_INHERITED), help_text="No: nobody is told anything."
    )
    min_priority = forms.TypedChoiceField(
        required=False,
        label="Least priority",
        coerce=int,
        empty_value=None,
        choices=_choices,
        help_text="What is less urgent is not told.",
    )
    event_types = Patterns(required=False, label="Event types", help_text=_known_types)  # type: ignore[arg-type]
    names_channels = forms.TypedChoiceField(
        required=False,
        label="Who is told",
        coerce=lambda value: value == "True",
        choices=[("False", _INHERITED), ("True", "exactly the channels that are ticked below")],
        widget=forms.RadioSelect,
        initial="False",
        empty_value=None,
    )
    channels = ChannelChoice(
        required=False, queryset=Channel.objects.current().order_by("name", "key"), widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Policy
        fields = (
            "scope",
            "platform",
            "streamer",
            "enabled",
            "min_priority",
            "event_types",
            "names_channels",
            "channels",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "event_types" in self.fields:
            self.fields["event_types"].help_text = _known_types()

    def clean_names_channels(self) -> bool:
        return bool(self.cleaned_data["names_channels"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        scope, streamer, channels = cleaned.get("scope"), cleaned.get("streamer"), cleaned.get("channels") or ()
        for asked in (Policy.Kind.PLATFORM, Policy.Kind.STREAMER):
            if scope == asked and asked in cleaned and not cleaned[asked]:
                self.add_error(asked, f"Say which {asked}.")
        owner = streamer.key if streamer else ""
        for channel in channels:
            if channel.owner_key not in ("", owner):
                text = f"{channel} belongs to {channel.owner_key}, so that this policy could never use it."
                self.add_error("channels", text)
        if channels and not cleaned.get("names_channels"):
            self.add_error("names_channels", "Channels are ticked: choose that exactly these are told, or untick them.")
        return cleaned
