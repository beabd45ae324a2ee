"""A worker: takes work of its lane from the queue, computes it with the models it hosts, answers.

queue/ ─► serving/ ─► verbs/ ─► batching/ ─► engines/         a work item, to its reply
                      └ texts/, images/, extraction/

sources/ ─► checkpoint/ ─► compiler/ ─► opening/ ─► hosting/  a model, until it is served
"""
