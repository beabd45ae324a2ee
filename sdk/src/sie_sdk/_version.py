"""The version of this package, which servers are told."""

VERSION = "0.1.0"
