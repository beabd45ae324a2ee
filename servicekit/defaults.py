"""What the registry means where a definition or a request names nothing (`proto/sie/registry`)."""

DEFAULT_POOL = "default"
DEFAULT_POOL_TTL_S = 1200
DEFAULT_BUNDLE = "default"
DEFAULT_PROFILE = "default"
DEFAULT_TENANT = "default"
DEFAULT_BUNDLE_PRIORITY = 100
