"""Starts a worker: `python -m worker`. Every setting is in `Settings`."""

from servicekit.imports import uncollected

if __name__ == "__main__":
    with uncollected():
        from worker.process import main

    main()
