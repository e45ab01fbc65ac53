"""Yes, no, or as somebody else says: the choice of a switch that may be left open."""

from __future__ import annotations

from typing import Any

from django import forms


class ThreeWay(forms.NullBooleanSelect):
    """A select whose open answer is worded by the caller."""

    def __init__(self, unset: str, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.choices = [("unknown", unset), ("true", "yes"), ("false", "no")]
