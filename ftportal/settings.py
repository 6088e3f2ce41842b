"""Django's settings, all from the environment; docs/operations.md lists every variable."""

import os
from importlib.util import find_spec
from pathlib import Path

from csp.constants import NONE, SELF, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured

from ftportal.database_url import django_database
from ftportal.environment import ConfigurationError, env_bool, env_int, env_list, load
from ftportal.logs import configure as configure_logs

BASE_DIR = Path(__file__).resolve().parent.parent

try:
    ENVIRONMENT = load()
    DEBUG = env_bool("FTPORTAL_DEBUG", default=False)
    ALLOWED_HOSTS = env_list("FTPORTAL_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
    CSRF_TRUSTED_ORIGINS = env_list("FTPORTAL_TRUSTED_ORIGINS", default=[])
    BEHIND_TLS = env_bool("FTPORTAL_TLS", default=False)
    UPLOAD_LIMIT_MB = env_int("FTPORTAL_UPLOAD_LIMIT_MB", default=2048, minimum=1)
    EXPANSION_LIMIT_MB = env_int("FTPORTAL_EXPANSION_LIMIT_MB", default=20_480, minimum=1)
    LINE_LIMIT_KB = env_int("FTPORTAL_LINE_LIMIT_KB", default=1000, minimum=1)
    FTPORTAL_ALLOW_PRIVATE_URLS = env_bool("FTPORTAL_ALLOW_PRIVATE_URLS", default=False)
    FTPORTAL_API_REQUESTS_PER_MINUTE = env_int("FTPORTAL_API_REQUESTS_PER_MINUTE", default=3000, minimum=0)
    FTPORTAL_FIND_NAMES = env_bool("FTPORTAL_FIND_NAMES", default=False)
    FTPORTAL_HEARTBEAT_SECONDS = env_int("FTPORTAL_HEARTBEAT_SECONDS", default=5, minimum=1)
    FTPORTAL_SILENT_SECONDS = env_int("FTPORTAL_SILENT_SECONDS", default=25, minimum=2)
    FTPORTAL_INFERENCE_PATIENCE = env_int("FTPORTAL_INFERENCE_PATIENCE", default=60, minimum=0)
    FTPORTAL_TRAINING_SILENCE_SECONDS = env_int("FTPORTAL_TRAINING_SILENCE_SECONDS", default=1800, minimum=5)
    for origin in CSRF_TRUSTED_ORIGINS:
        if "://" not in origin:
            raise ConfigurationError(
                f"FTPORTAL_TRUSTED_ORIGINS is {origin!r}: write each origin with its scheme, as https://{origin}."
            )
except ConfigurationError as error:
    raise ImproperlyConfigured(str(error)) from error

SECRET_KEY = ENVIRONMENT.secret_key

# --- What the product itself reads --------------------------------------------------------------------------
FTPORTAL_HOME = ENVIRONMENT.home
FTPORTAL_ENCRYPTION_KEY = ENVIRONMENT.encryption_key
FTPORTAL_REDIS_URL = ENVIRONMENT.redis_url
FTPORTAL_INFERENCE_URL = ENVIRONMENT.inference_url
FTPORTAL_INFERENCE_SOCKET = ENVIRONMENT.inference_socket
FTPORTAL_INFERENCE_TOKEN = ENVIRONMENT.inference_token
FTPORTAL_UPLOAD_LIMIT = UPLOAD_LIMIT_MB * 1024 * 1024
FTPORTAL_EXPANSION_LIMIT = EXPANSION_LIMIT_MB * 1024 * 1024
FTPORTAL_LINE_LIMIT = LINE_LIMIT_KB * 1000
FTPORTAL_IMPORT_DIRECTORY = os.environ.get("FTPORTAL_IMPORT_DIRECTORY", "")
# Commands that train in place of our own trainer. From the environment alone: what they name is run.
FTPORTAL_LLAMA_FACTORY = os.environ.get("FTPORTAL_LLAMA_FACTORY", "")
FTPORTAL_AXOLOTL = os.environ.get("FTPORTAL_AXOLOTL", "")
FTPORTAL_CUSTOM_TRAINER = os.environ.get("FTPORTAL_CUSTOM_TRAINER", "")
if FTPORTAL_FIND_NAMES and find_spec("faker") is None:
    raise ImproperlyConfigured("FTPORTAL_FIND_NAMES needs lists of names: pip install 'ftportal[names]'")
FTPORTAL_DEMO = BASE_DIR / "demo"
FTPORTAL_BASE_MODEL = str(BASE_DIR / "demo" / "models" / "ftportal-tiny")

# --- Django -------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "ftportal.static_files.ServedStaticFiles",
    "django.contrib.humanize",
    "axes",
    "csp",
    "django_htmx",
    "ninja",
    "template_partials",
    "apps.core",
    "apps.accounts",
    "apps.audit",
    "apps.operations",
    "apps.artifacts",
    "apps.projects",
    "apps.datasets",
    "apps.scoring",
    "apps.providers",
    "apps.registry",
    "apps.labeling",
    "apps.jobs",
    "apps.evaluations",
    "apps.overview",
    "apps.gateway",
    "ftportal.apps.CompositionConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "apps.core.middleware.RequestContextMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apps.core.htmx.HtmxResponseMiddleware",
    "apps.core.middleware.PortalErrorMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "ftportal.urls"
ASGI_APPLICATION = "ftportal.asgi.application"
DATABASES = {"default": django_database(ENVIRONMENT.database_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.overview.context_processors.shell",
            ],
            "builtins": ["template_partials.templatetags.partials", "apps.core.templatetags.ui"],
        },
    },
]

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "accounts:sign_in"

# Sign-in is throttled by person and address together, so nobody can lock a colleague out from elsewhere.
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "apps.accounts.throttling.address_given"
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "accounts/locked_out.html"
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_VERBOSE = False

CACHES = {
    "default": {
        "BACKEND": "apps.core.cache.ForgivingRedisCache",
        "LOCATION": ENVIRONMENT.redis_url,
        "OPTIONS": {"socket_timeout": 1.0, "socket_connect_timeout": 1.0},
    }
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

# --- Static files: own ones, and packages from the registry as installed, never copied into the repository ---
NODE_MODULES = BASE_DIR / "node_modules"
STATIC_URL = "/static/"
STATIC_ROOT = ENVIRONMENT.home / "static"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    *(
        (f"vendor/{name}", path)
        for name, path in (
            ("tabler/css", NODE_MODULES / "@tabler" / "core" / "dist" / "css"),
            ("tabler/js", NODE_MODULES / "@tabler" / "core" / "dist" / "js"),
            ("htmx", NODE_MODULES / "htmx.org" / "dist"),
            ("uplot", NODE_MODULES / "uplot" / "dist"),
        )
        if path.is_dir()
    ),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "ftportal.static_storage.HashedStaticFilesStorage"
    },
}

# --- Uploads are streamed; forms stay small ------------------------------------------------------------------
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

# --- Security ------------------------------------------------------------------------------------------------
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = False  # app.js sends it as a header
# A Secure cookie would not come back over plain HTTP on localhost: on with FTPORTAL_TLS.
SESSION_COOKIE_SECURE = BEHIND_TLS
CSRF_COOKIE_SECURE = BEHIND_TLS
SECURE_SSL_REDIRECT = BEHIND_TLS
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = BEHIND_TLS
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# --- Celery: carries ids; rows hold the truth ---------------------------------------------------------------
CELERY_BROKER_URL = ENVIRONMENT.celery_broker_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_keepalive": True}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TIMEZONE = "UTC"
CELERY_TASK_ROUTES = {
    "apps.operations.tasks.reconcile": {"queue": "control"},
    "apps.jobs.tasks.orphans": {"queue": "training"},
    "apps.datasets.tasks.empty_trash": {"queue": "default"},
    "apps.datasets.tasks.remove_abandoned_uploads": {"queue": "default"},
    "apps.datasets.tasks.help_checks": {"queue": "default"},
    "apps.jobs.tasks.poll": {"queue": "default"},
    "apps.jobs.tasks.recover": {"queue": "default"},
    "apps.labeling.tasks.settle": {"queue": "default"},
    "apps.gateway.tasks.advance": {"queue": "control"},
    "apps.gateway.tasks.deliver": {"queue": "default"},
    "apps.gateway.tasks.clear": {"queue": "default"},
}
CELERY_BEAT_SCHEDULE = {
    "reconcile": {"task": "apps.operations.tasks.reconcile", "schedule": 5.0, "options": {"expires": 5}},
    "poll_jobs": {"task": "apps.jobs.tasks.poll", "schedule": 2.0, "options": {"expires": 2}},
    "recover": {"task": "apps.jobs.tasks.recover", "schedule": 2.0, "options": {"expires": 2}},
    "orphans": {"task": "apps.jobs.tasks.orphans", "schedule": 60.0, "options": {"expires": 60}},
    "empty_trash": {
        "task": "apps.datasets.tasks.empty_trash",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "remove_abandoned_uploads": {
        "task": "apps.datasets.tasks.remove_abandoned_uploads",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "settle_labels": {"task": "apps.labeling.tasks.settle", "schedule": 5.0, "options": {"expires": 5}},
    "gateway_advance": {"task": "apps.gateway.tasks.advance", "schedule": 2.0, "options": {"expires": 2}},
    "gateway_deliver": {"task": "apps.gateway.tasks.deliver", "schedule": 5.0, "options": {"expires": 5}},
    "gateway_clear": {"task": "apps.gateway.tasks.clear", "schedule": 60.0, "options": {"expires": 60}},
}

LOGGING_CONFIG = None
configure_logs(debug=DEBUG)
