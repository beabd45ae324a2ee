"""Starts a worker: `python -m worker`. Every setting is in `Settings`."""

import gc

if __name__ == "__main__":
    # What is imported stays. Collections meanwhile would find nothing, in a tenth of the time.
    gc.disable()
    from worker.process import main

    gc.freeze()
    gc.enable()
    main()
