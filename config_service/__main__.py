"""Starts a config service: `python -m config_service`. Every setting is in `Settings`."""

from servicekit.imports import uncollected

if __name__ == "__main__":
    with uncollected():
        from config_service.process import main

    main()
