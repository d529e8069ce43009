"""Django settings. Every value that differs between a laptop and production comes from the environment, read here and nowhere else."""

import os
import secrets
import shlex
from pathlib import Path

import dj_database_url
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


def env_bool(name: str, default: bool) -> bool:
    """Boolean environment value; anything but 1/0/true/false/yes/no is an error, not a guess."""
    raw = os.environ.get(name, "").strip().lower()
    if raw == "":
        return default
    if raw in {"1", "true", "yes"}:
        return True
    if raw in {"0", "false", "no"}:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {raw!r}")


def env_int(name: str, default: int) -> int:
    """Integer environment value; a word that is not a number is an error."""
    raw = os.environ.get(name, "").strip()
    if raw == "":
        return default
    try:
        return int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {raw!r}") from None


def command_lines(prefix: str) -> dict[str, list[str]]:
    """Words of the command lines in the variables PREFIX_NAME, by name as a slug; an empty one is none."""
    found = {}
    for variable, line in os.environ.items():
        if variable.startswith(prefix) and line.strip():
            try:
                found[variable.removeprefix(prefix).lower().replace("_", "-")] = shlex.split(line)
            except ValueError as error:
                raise ImproperlyConfigured(f"{variable} is not a command line: {error}") from None
    return found


def secret_key(home: Path) -> str:
    """SECRET_KEY of the environment, else one generated once per home folder (embedded use on one machine)."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    if not env_bool("EMBEDDED", default=True):
        raise ImproperlyConfigured("SECRET_KEY is not set")
    home.mkdir(parents=True, exist_ok=True)
    path = home / "secret_key"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(50))
    return path.read_text()


HOME = Path(os.environ.get("MAQUETTE_HOME") or BASE_DIR / "var").resolve()
DEBUG = env_bool("DEBUG", default=False)
SECRET_KEY = secret_key(HOME)
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("CSRF_TRUSTED_ORIGINS", "").split(",") if origin]

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
    "csp",
    "backend",
    "backend.accounts",
    "backend.catalog",
    "backend.proposals",
    "backend.annotation",
    "backend.art3do",
    "backend.datasets",
    "backend.training",
    "annotator_ui",
    "workers",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "backend.urls"
WSGI_APPLICATION = "backend.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ]
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL", "postgres://maquette@127.0.0.1:5432/maquette"), conn_max_age=600
    )
}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured(
        "DATABASE_URL must name a PostgreSQL server: other databases hand one task to two people"
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

S3_ENDPOINT_URL = os.environ.get("S3_ENDPOINT_URL", "")
S3_BUCKET = os.environ.get("S3_BUCKET", "maquette" if S3_ENDPOINT_URL else "")
BLOB_ROOT = HOME / "blobs"
UPLOAD_MAX_BYTES = env_int("UPLOAD_MAX_BYTES", 2 * 1024**3)
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024**2
FILE_UPLOAD_HANDLERS = ["backend.uploads.LimitedUploadHandler"]

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ko", "한국어")]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
_THREE = BASE_DIR / "node_modules" / "three"
STATICFILES_DIRS = [
    (name, path)
    for name, path in (
        ("vendor/three/build", _THREE / "build"),
        ("vendor/three/addons", _THREE / "examples/jsm"),
    )
    if path.is_dir()
]
STATICFILES_FINDERS = [
    "annotator_ui.finders.StaticFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "backend.storage.ModuleStaticFilesStorage"},
}
WHITENOISE_MAX_AGE = 3600

# The import map is the one inline script, allowed by nonce. Pages that decode meshes add WebAssembly (annotator_ui).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "blob:", "data:", *([S3_ENDPOINT_URL] if S3_ENDPOINT_URL else [])],
        "connect-src": [SELF, "blob:", *([S3_ENDPOINT_URL] if S3_ENDPOINT_URL else [])],
        "worker-src": [SELF, "blob:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env_bool("HTTPS_ONLY", default=False)
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env_bool("BEHIND_TLS_PROXY", default=False) else None
)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "backend.accounts.authentication.TokenAuthentication",
        "backend.accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "backend.accounts.access.errors",
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Maquette API",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "TaskStage": "backend.annotation.models.Task.Stage",
        "Collection": "backend.catalog.models.Batch.Judges",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LEASE_SECONDS = env_int("LEASE_SECONDS", 600)
PREFETCH_SECONDS = env_int("PREFETCH_SECONDS", 120)
MOGE_WEIGHTS = os.environ.get("MOGE_WEIGHTS", "")
SAM_WEIGHTS = os.environ.get("SAM_WEIGHTS", "")

# Models in environments of their own (model_zoo/proposers/PROTOCOL.md): how to call them, how long one call may take, and
# all that they see of our environment.
ADAPTERS = command_lines("MAQUETTE_ADAPTER_")
ADAPTER_SECONDS = env_int("ADAPTER_SECONDS", 900)
ADAPTER_ENVIRONMENT = {
    name: os.environ[name]
    for name in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_VISIBLE_DEVICES")
    if name in os.environ
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
}
