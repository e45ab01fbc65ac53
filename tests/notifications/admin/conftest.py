"""What tests of the admin share."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.notifications.admin.evening import Evening, an_evening


@pytest.fixture
def evening(db: None) -> Evening:
    return an_evening()


@pytest.fixture
def admin_client(db: None) -> Client:
    """An operator who may do everything. Without a password, whose digest would take most of a test's time."""
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    return client
