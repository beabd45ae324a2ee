"""The config service: the single writer of models, bundles, machine profiles and pools."""
