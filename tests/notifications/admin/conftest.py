"""What tests of the admin share."""

from __future__ import annotations

import pytest

from tests.notifications.admin.evening import Evening, an_evening


@pytest.fixture
def evening(db: None) -> Evening:
    return an_evening()
