"""From a transport's typed `Config` to form fields, whatever the transport: types, help, defaults, secrets.

A new kind of channel gets its form from here without a line of its own. Texts, numbers, switches,
choices, lists (one entry a line) and text mappings (`Name: value`, one a line) have fields of their
own; whatever else a `Config` may hold is written as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import escape
from msgspec import inspect

from channels_app.base import Config
from channels_app.configuration import MASK

#: Form fields of settings begin with this, so that they never meet a column of the channel.
PREFIX = "config_"
#: ... and the box that clears a secret ends with this.
CLEAR = "__clear"


_ACRONYMS = frozenset({"api", "http", "id", "smtp", "tls", "url"})
_LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)


class Unset:
    """The field was left empty: the transport's default, or the secret that is already there."""


UNSET = Unset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigField:
    """One field of a `Config` as a form needs it."""

    name: str
    type: inspect.Type
    help_text: str
    secret: bool
    required: bool
    #: Whether None may be said, which an empty field then does.
    nullable: bool
    #: JSON-ready; None where there is none.
    default: Any
    example: Any

    @property
    def form_name(self) -> str:
        return PREFIX + self.name

    @property
    def clear_name(self) -> str:
        return PREFIX + self.name + CLEAR

    @property
    def label(self) -> str:
        words = (word.upper() if word in _ACRONYMS else word for word in self.name.split("_"))
        text = " ".join(words)
        return text[:1].upper() + text[1:]


def fields_of(config: type[Config]) -> list[ConfigField]:
    """The fields of a `Config`, in its order."""
    return [_read(field) for field in inspect.type_info(config).fields]  # type: ignore[attr-defined]


def _read(field: inspect.Field) -> ConfigField:
    meta = field.type if isinstance(field.type, inspect.Metadata) else None
    schema: Mapping[str, Any] = (meta.extra_json_schema if meta else None) or {}
    return ConfigField(
        name=field.encode_name,
        type=_bare(field.type),
        help_text=schema.get("description", ""),
        secret=bool(((meta.extra if meta else None) or {}).get("secret")),
        required=field.required,
        nullable=_is_nullable(field.type),
        default=_default(field),
        example=(schema.get("examples") or [None])[0],
    )


def _default(field: inspect.Field) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.to_builtins(field.default_factory())
    return None if field.default is msgspec.NODEFAULT else msgspec.to_builtins(field.default)


def _is_nullable(kind: inspect.Type) -> bool:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return isinstance(kind, inspect.UnionType) and any(isinstance(one, inspect.NoneType) for one in kind.types)


def _bare(kind: inspect.Type) -> inspect.Type:
    """The type without its description, and without `| None`: an empty field says that."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        rest = [member for member in kind.types if not isinstance(_bare(member), inspect.NoneType)]
        if len(rest) == 1:
            return _bare(rest[0])
    return kind


class Lines(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 60})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(str(entry) for entry in value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> Any:
        return [line.strip() for line in str(super().clean(value)).splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class Pairs(forms.CharField):
    """Texts by name: `Name: value`, one a line."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 60})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(f"{name}: {text}" for name, text in value.items()) if isinstance(value, dict) else value

    def clean(self, value: Any) -> Any:
        pairs = {}
        for line in str(super().clean(value)).splitlines():
            name, colon, text = line.partition(":")
            if not line.strip():
                continue
            if not colon or not name.strip():
                # The line itself may be a secret, so it is not repeated.
                raise ValidationError("Write one `Name: value` a line.")
            pairs[name.strip()] = text.strip()
        return pairs

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class Json(forms.CharField):
    """Anything else, written as JSON."""

    widget = forms.Textarea(attrs={"rows": 4, "cols": 60})

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) or value is None else json.dumps(value, indent=2)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise ValidationError("This is not JSON.") from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class WriteOnlyText(forms.Textarea):
    """A text that goes in and never comes out."""

    def format_value(self, value: Any) -> None:
        return None


def form_field(field: ConfigField, *, is_set: bool) -> forms.Field:
    """The form field; `is_set`: it is a secret that the channel already has."""
    # An empty list or mapping may be meant; the transport says whether it will do.
    required = field.required and not is_set and not isinstance(field.type, (*_LISTS, inspect.DictType))
    made = _by_type(field, required)
    made.label, made.help_text = field.label, _help(field, is_set)
    hint = f"{MASK} (set: leave empty to keep it)" if is_set else _hint(field)
    if field.secret:
        made.widget = _hidden(made)
    if isinstance(made.widget, forms.Textarea | forms.TextInput | forms.PasswordInput):
        made.widget.attrs.update({"placeholder": hint, "class": "vTextField"})
    return made


def clear_field(field: ConfigField) -> forms.Field:
    """The box by which a secret that may be missing is taken away."""
    return forms.BooleanField(
        required=False, label=f"Clear {field.label.lower()}", help_text="It is forgotten on saving."
    )


def _hidden(made: forms.Field) -> forms.Widget:
    if isinstance(made.widget, forms.Textarea):
        return WriteOnlyText(attrs={"rows": 3, "cols": 60, "autocomplete": "off", "spellcheck": "false"})
    return forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})


def _by_type(field: ConfigField, required: bool) -> forms.Field:
    kind = field.type
    if isinstance(kind, inspect.BoolType):
        return forms.BooleanField(required=False, initial=bool(field.default))
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        number: Any = forms.IntegerField if isinstance(kind, inspect.IntType) else forms.FloatField
        made: forms.Field = number(required=required, min_value=kind.ge, max_value=kind.le)
        return made
    if isinstance(kind, inspect.StrType):
        return forms.CharField(required=required, max_length=kind.max_length)
    values = _values(kind)
    return _choice(values, field, required) if values else _of_many(kind)(required=required)


def _of_many(kind: inspect.Type) -> type[forms.Field]:
    """Lists and mappings of texts have fields of their own."""
    if isinstance(kind, _LISTS) and isinstance(_bare(kind.item_type), inspect.StrType):
        return Lines
    if isinstance(kind, inspect.DictType) and isinstance(_bare(kind.value_type), inspect.StrType):
        return Pairs
    return Json


def _values(kind: inspect.Type) -> tuple[Any, ...]:
    """What a choice is made from, or nothing where the type is no choice."""
    if isinstance(kind, inspect.LiteralType):
        return tuple(kind.values)
    return tuple(member.value for member in kind.cls) if isinstance(kind, inspect.EnumType) else ()


def _choice(values: tuple[Any, ...], field: ConfigField, required: bool) -> forms.Field:
    choices = [(str(value), str(value)) for value in values]
    if not required and field.default is None:
        choices.insert(0, ("", "–"))
    by_text = {str(value): value for value in values}
    return forms.TypedChoiceField(choices=choices, required=required, coerce=by_text.__getitem__, empty_value=None)


def _hint(field: ConfigField) -> str:
    example = field.example
    if example is None:
        return ""
    if isinstance(example, dict):
        return "\n".join(f"{name}: {text}" for name, text in example.items())
    return "\n".join(map(str, example)) if isinstance(example, list) else str(example)


def _help(field: ConfigField, is_set: bool) -> str:
    parts: list[str] = [escape(field.help_text)]
    if isinstance(field.type, inspect.DictType):
        parts.append("One <code>Name: value</code> a line.")
    elif isinstance(field.type, _LISTS):
        parts.append("One a line.")
    if field.secret:
        parts.append("Kept encrypted and never shown again.")
    if is_set:
        parts.append("<strong>Set.</strong> Leave empty to keep it.")
    return " ".join(part for part in parts if part)


def initial(field: ConfigField, stored: Mapping[str, Any]) -> Any:
    """What the form shows at first: what is stored, or the default; of a secret nothing."""
    return None if field.secret else stored.get(field.name, field.default)


def taken(field: ConfigField, cleaned: Mapping[str, Any]) -> Any:
    """What the form says of the field: a JSON-ready value, or `UNSET`."""
    value = cleaned.get(field.form_name)
    if isinstance(field.type, inspect.BoolType):
        return bool(value)
    if value not in (None, "", [], {}):
        return value
    if field.secret:
        return field.default if cleaned.get(field.clear_name) else UNSET
    # Nothing was written where something could be: that is said too, unless it would be None.
    return UNSET if value is None or field.nullable else value
