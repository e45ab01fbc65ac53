"""WSGI entry point."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application

from project import env
from project.production import refuse_without_secrets

env.fill({"DJANGO_SETTINGS_MODULE": "project.settings"})
application = get_wsgi_application()
refuse_without_secrets()
