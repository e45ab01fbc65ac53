"""Django's settings. What an operator can change comes from the environment (`project/env.py`, `docs/settings.md`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from project import env
from project.database import database_settings
from project.logs import configure_structlog, logging_settings

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Secrets. Empty ones fail closed: Django refuses an empty SECRET_KEY, Belfry an empty key ring.
SECRET_KEY = env.SECRET_KEY.read()
# Whether there is one at all: Django raises when an empty SECRET_KEY is looked at.
BELFRY_SECRET_KEY_SET = bool(SECRET_KEY)
# Key id to Fernet key; the first encrypts, all decrypt.
BELFRY_CHANNEL_KEYS = env.CHANNEL_KEYS.read()

# --- The web side.
# Django's debug pages.
DEBUG = env.DEBUG.read()
# Where people reach Belfry, without a slash at the end.
BELFRY_PUBLIC_URL = env.PUBLIC_URL.read().rstrip("/")
# Hosts that may be asked for: those of the public URL, of the machine itself, and the operator's.
ALLOWED_HOSTS = [
    urlsplit(BELFRY_PUBLIC_URL).hostname or "",
    "localhost",
    "127.0.0.1",
    "[::1]",
    *env.ALLOWED_HOSTS.read(),
]
# Origins that may post forms.
CSRF_TRUSTED_ORIGINS = [BELFRY_PUBLIC_URL]

# --- Safe by default; what needs TLS is on as soon as the public URL is https.
_HTTPS = BELFRY_PUBLIC_URL.startswith("https://")
# Cookies only over TLS.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
# Scripts cannot read the session.
SESSION_COOKIE_HTTPONLY = True
# Plain requests are sent on to TLS.
SECURE_SSL_REDIRECT = _HTTPS
# Health is asked from inside, where there is no TLS.
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health"]
# A year of TLS only, once it is on.
SECURE_HSTS_SECONDS = 31_536_000 if _HTTPS else 0
# Sub-domains are the operator's to decide.
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
# Browsers do not guess types.
SECURE_CONTENT_TYPE_NOSNIFF = True
# Addresses of our pages stay ours.
SECURE_REFERRER_POLICY = "same-origin"
# Nobody frames our pages.
X_FRAME_OPTIONS = "DENY"
# Only a proxy that sets the header itself may be believed.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.BEHIND_PROXY.read() else None

# --- Applications.
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "channels_app",
    "notifications",
    "project.apps.ProjectConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- The engines.
DATABASES = {"default": database_settings(env.DATABASE_URL.read())}
# Breakers, limits and live hints. Everything in it can be rebuilt.
BELFRY_REDIS_URL = env.REDIS_URL.read() or "redis://127.0.0.1:1/1"
# Celery's broker; of its own, so that it can be moved away.
BELFRY_BROKER_URL = env.BROKER_URL.read() or "redis://127.0.0.1:1/0"

# --- Time and words.
TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en"
USE_I18N = False

# --- Static files: from their sources, or, once collected, with names that never change meaning.
STATIC_URL = "/static/"
STATIC_ROOT = env.STATIC_ROOT.read() or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_ROOT
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- The API.
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["notifications.api.wire.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["notifications.api.wire.JsonParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "notifications.api.wire.JsonAlone",
    "DEFAULT_FILTER_BACKENDS": ["notifications.api.filters.StrictFilters"],
    # Closed unless a view says otherwise.
    "DEFAULT_PERMISSION_CLASSES": ["notifications.api.caller.IsOperator"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "notifications.api.authentication.BearerKey",
        "notifications.api.authentication.StaffSession",
    ],
    "EXCEPTION_HANDLER": "notifications.api.problems.answer",
    # OPTIONS tells nothing: /api/schema/ tells all.
    "DEFAULT_METADATA_CLASS": None,
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Belfry",
    "DESCRIPTION": "Takes a notification, decides who should hear of it and how, and gets it there, or shows why not.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "notifications.api.schema.complete",
    ],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "DeliveryState": "notifications.models.Delivery.STATES",
        "NotificationState": "notifications.models.Notification.Summary",
        "PartState": "notifications.api.health.PART_STATES",
        "ReplayJobState": "notifications.models.ReplayJob.State",
        "BreakerState": "notifications.api.channel_control.BREAKER_STATES",
    },
    # The docs page from our own host, not from somebody's CDN.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
}

# --- Logs.
LOGGING = logging_settings(level=env.LOG_LEVEL.read(), style=env.LOG_FORMAT.read())
configure_structlog()

# --- Requests to channels.
# Networks that channels may reach although they are not public, as CIDR.
BELFRY_ALLOWED_NETWORKS = list(env.ALLOWED_NETWORKS.read())
# Seconds for a whole request.
BELFRY_HTTP_TIMEOUT_S = env.HTTP_TIMEOUT_S.read()
# Seconds for connecting.
BELFRY_HTTP_CONNECT_TIMEOUT_S = env.HTTP_CONNECT_TIMEOUT_S.read()
# Bytes of an answer that are read.
BELFRY_MAX_ANSWER_BYTES = env.MAX_ANSWER_BYTES.read()

# --- Deliveries.
# Seconds that a worker may hold a delivery without a sign of life.
BELFRY_LEASE_S = env.LEASE_S.read()
# Requests that one lane of one worker has open at once.
BELFRY_REQUESTS_IN_FLIGHT = env.REQUESTS_IN_FLIGHT.read()
# Days after which a notification that ended is forgotten.
BELFRY_RETENTION_DAYS = env.RETENTION_DAYS.read()
# Days that a dead letter on which nobody decides keeps its notification.
BELFRY_DEAD_LETTER_RETENTION_DAYS = env.DEAD_LETTER_RETENTION_DAYS.read()
# Seconds that a worker has at its end.
BELFRY_SHUTDOWN_GRACE_S = env.SHUTDOWN_GRACE_S.read()

# --- Feeds.
# Streams of the live bus; the same in all processes.
BELFRY_FEED_SHARDS = env.FEED_SHARDS.read()
# Feeds up to which something for everybody is written out at once.
BELFRY_BROADCAST_ROWS = env.BROADCAST_ROWS.read()
# Days after which items are deleted: those that were read, and all.
BELFRY_FEED_READ_DAYS = env.FEED_READ_DAYS.read()
BELFRY_FEED_UNREAD_DAYS = env.FEED_UNREAD_DAYS.read()
# Days that a deletion is remembered.
BELFRY_FEED_TOMBSTONE_DAYS = env.FEED_TOMBSTONE_DAYS.read()

# --- Live streams: where they are found, who may open them, and what they may take.
BELFRY_LIVE_URL = env.LIVE_URL.read().rstrip("/")
BELFRY_LIVE_ORIGINS = list(env.LIVE_ORIGINS.read())
BELFRY_LIVE_TICKET_S = env.LIVE_TICKET_S.read()
# Who says whether a token is an operator's.
BELFRY_LIVE_OPERATORS = "notifications.api.authentication.is_operator"
# The bounds that `channels_app/live/limits.py` explains.
BELFRY_LIVE_CONNECTIONS = env.LIVE_CONNECTIONS.read()
BELFRY_LIVE_CONNECTIONS_PER_RECIPIENT = env.LIVE_CONNECTIONS_PER_RECIPIENT.read()
BELFRY_LIVE_ACCEPTS_PER_S = env.LIVE_ACCEPTS_PER_S.read()
BELFRY_LIVE_QUEUE_EVENTS = env.LIVE_QUEUE_EVENTS.read()
BELFRY_LIVE_QUEUE_BYTES = env.LIVE_QUEUE_BYTES.read()
BELFRY_LIVE_WINDOW = env.LIVE_WINDOW.read()
BELFRY_LIVE_RESEND_S = env.LIVE_RESEND_S.read()
BELFRY_LIVE_RESENDS = env.LIVE_RESENDS.read()
BELFRY_LIVE_PING_S = env.LIVE_PING_S.read()
BELFRY_LIVE_PONG_S = env.LIVE_PONG_S.read()
BELFRY_LIVE_AUTH_S = env.LIVE_AUTH_S.read()
BELFRY_LIVE_SEND_S = env.LIVE_SEND_S.read()
BELFRY_LIVE_LIFE_S = env.LIVE_LIFE_S.read()
BELFRY_LIVE_REAUTH_S = env.LIVE_REAUTH_S.read()
BELFRY_LIVE_CHECK_S = env.LIVE_CHECK_S.read()
BELFRY_LIVE_DEGRADED_CHECK_S = env.LIVE_DEGRADED_CHECK_S.read()
BELFRY_LIVE_FRAME_BYTES = env.LIVE_FRAME_BYTES.read()
BELFRY_LIVE_FRAMES_PER_S = env.LIVE_FRAMES_PER_S.read()
BELFRY_LIVE_SPREAD_S = env.LIVE_SPREAD_S.read()

# --- The page for trying things out: whether there is one, and the small world that it sends to.
BELFRY_DEMO = env.DEMO.read()
BELFRY_DEMO_WORLD = env.DEMO_WORLD.read().rstrip("/")
BELFRY_DEMO_SMTP_PORT = env.DEMO_SMTP_PORT.read()
