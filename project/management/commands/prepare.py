"""What must be done once the engines run and before anything else starts: migrate, and make the first login."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand

from project.commands import default_home
from project.embedded.home import Home

FIRST_USER = "admin"


class Command(BaseCommand):
    """`belfry up` runs it at each start."""

    help = "Migrate, and make an administrator with a random password when there is none."

    def handle(self, **_: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        make_first_login(default_home())


def make_first_login(home: Home) -> None:
    """Make an administrator with a random password when there is none; forget the password once it was used."""
    administrators = User.objects.filter(is_superuser=True, is_active=True)
    if not administrators.exists():
        password = secrets.token_urlsafe(12)
        home.keep_first_login(FIRST_USER, password)
        User.objects.create_superuser(FIRST_USER, password=password)
    elif administrators.filter(last_login__isnull=False).exists():
        home.forget_first_login()
