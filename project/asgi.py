"""ASGI entry point."""

from __future__ import annotations

from django.core.asgi import get_asgi_application

from project import env
from project.production import refuse_without_secrets

env.fill({"DJANGO_SETTINGS_MODULE": "project.settings"})
application = get_asgi_application()
refuse_without_secrets()
