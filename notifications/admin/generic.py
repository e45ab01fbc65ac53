"""Two classes of Django's that are generic for the type checker alone, made so at run time too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import admin

if TYPE_CHECKING:
    GenericAdmin = admin.ModelAdmin
    GenericForm = forms.ModelForm
else:

    class GenericAdmin(admin.ModelAdmin):
        def __class_getitem__(cls, _: object) -> type:
            return cls

    class GenericForm(forms.ModelForm):
        def __class_getitem__(cls, _: object) -> type:
            return cls
