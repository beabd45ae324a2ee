"""What `sie doctor` looks at: facts are gathered in `*_facts`, judged by pure functions elsewhere.

gateway_facts ─► cluster      gateway, config service, workers, models, versions, clocks
broker_facts  ─► broker       connection, JetStream, streams and what is left of them
machine       ─► machine      disk, ports, GPU; only where the stack runs on this machine
"""
