"""The `sie` command line, and what runs a whole cluster on one machine."""
