"""Every fault, by the name it has in the table."""

from tests.chaos import broker_faults, process_faults, registry_faults
from tests.chaos.process_faults import freeze, kill, skew, terminate
from tests.chaos.scene import Fault

_HOUR_S = 3600.0
# That fit onto a small disk.
_SMALL_STREAMS = {"SIE_STREAM_MAX_BYTES": str(3 * 1024 * 1024)}

FAULTS = (
    Fault("kill -9 worker", kill("worker-1"), all_right=True),
    Fault("kill -9 gateway", kill("gateway-1"), breaks=True, restarts=True),
    Fault("kill -9 config", kill("config"), all_right=True),
    Fault("kill -9 broker", kill("broker")),
    Fault("SIGTERM worker", terminate("worker-2"), all_right=True),
    Fault("SIGTERM gateway", terminate("gateway-2"), restarts=True),
    Fault("SIGTERM config", terminate("config"), all_right=True),
    Fault("SIGTERM broker", terminate("broker")),
    Fault("worker cut off 3 s", freeze("worker-1", 3.0), all_right=True),
    Fault("worker cut off 12 s", freeze("worker-2", 12.0), all_right=True),
    Fault("gateway cut off 4 s", freeze("gateway-1", 4.0), all_right=True),
    Fault("config cut off 8 s", freeze("config", 8.0), all_right=True),
    Fault("broker cut off 4 s", freeze("broker", 4.0)),
    Fault("duplicate delivery", process_faults.deliver_twice, all_right=True),
    Fault("slow watchers", registry_faults.slow_watchers, all_right=True),
    Fault("two config services", registry_faults.two_writers, all_right=True),
    Fault("worker's clock +1 h", skew("worker-1", _HOUR_S), all_right=True),
    Fault("worker's clock -1 h", skew("worker-2", -_HOUR_S), all_right=True),
    Fault("gateway's clock +1 h", skew("gateway-2", _HOUR_S), restarts=True),
    Fault("gateway's clock -1 h", skew("gateway-2", -_HOUR_S), restarts=True),
    Fault("20 % worker crashes", process_faults.crash_at_random),
    Fault("rolling restart", process_faults.restart_each, restarts=True),
    Fault(
        "full stream",
        broker_faults.fill_stream,
        stack={"env": {"SIE_STREAM_MAX_MESSAGES": "4"}},
    ),
    Fault(
        "full disk",
        broker_faults.fill_disk,
        stack={"disk_mib": 24, "env": _SMALL_STREAMS},
    ),
    Fault(
        "cluster, leader's disk full",
        broker_faults.fill_leaders_disk,
        stack={"brokers": 3, "disk_mib": 24, "env": _SMALL_STREAMS},
    ),
    Fault("cluster, brokers restart", broker_faults.restart_brokers, stack={"brokers": 3}),
    Fault("cluster loses its leader", broker_faults.lose_leader, stack={"brokers": 3}),
)
