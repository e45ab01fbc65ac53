"""Who or what notifications are about."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from channels_app.models import KEY_PATTERN


class Streamer(models.Model):
    """The unit of configuration and of API-key scope: a channel on a platform, a recorder, a product."""

    key = models.CharField(
        max_length=100, unique=True, validators=[KEY_PATTERN], help_text="Short, stable name for API and files."
    )
    name = models.CharField(max_length=200, help_text="What people see.")
    platform = models.CharField(
        max_length=50, blank=True, default="", db_index=True, help_text="Where they stream; platform policies go by it."
    )
    tags = ArrayField(models.CharField(max_length=50), blank=True, default=list, help_text="Free words for searching.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.name or self.key
