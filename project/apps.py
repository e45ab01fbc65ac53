"""The composition root as an application: wherever Django is set up, Celery's app is too."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig

from project import connections


class ProjectConfig(AppConfig):
    name = "project"
    label = "project"
    verbose_name = "Belfry"

    def ready(self) -> None:
        # Tasks bind to the app that is current; without this they would be sent to Celery's default broker.
        import_module("project.celery")
        connections.watch()
