"""Starts a gateway: `python -m gateway`. Every setting is in `Settings`."""

from servicekit.imports import uncollected

if __name__ == "__main__":
    with uncollected():
        from gateway.process import main

    main()
