"""Belfry's settings for the plain counterparts, without what a plain project would not pay for."""

from project.settings import *  # noqa: F403
from project.settings import DATABASES

# Persistent connections, and no query on each task or request to see whether they live.
DATABASES["default"] |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}
ROOT_URLCONF = "benchmarks.plain_intake"
