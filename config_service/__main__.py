"""Starts a config service: `python -m config_service`. Every setting is in `Settings`."""

import gc

if __name__ == "__main__":
    # What is imported stays. Collections meanwhile would find nothing, in a tenth of the time.
    gc.disable()
    from config_service.process import main

    gc.freeze()
    gc.enable()
    main()
