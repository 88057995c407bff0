"""`three_nodes.py` starts a Ray cluster of three nodes of a core each, until its input ends.

For each line of its input it replaces the nodes that are gone, and prints a JSON object: "address",
and "raylets", the process of each node, the head first.
"""

import json
import os
import sys
from typing import Any

# A node that is killed is known to be dead within seconds.
os.environ |= {
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}

from ray.cluster_utils import Cluster  # noqa: E402

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


def raylet_of(node: Any) -> Any:
    """The process of a node's raylet, a Popen."""
    return node.all_processes["raylet"][0].process


def complete(cluster: Cluster) -> None:
    """Makes it one of three nodes, and prints it."""
    for node in list(cluster.worker_nodes):
        if raylet_of(node).poll() is not None:
            cluster.remove_node(node, allow_graceful=False)
    while len(cluster.list_all_nodes()) < 3:
        cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    raylets = [raylet_of(node).pid for node in cluster.list_all_nodes()]
    print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)


cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
try:
    for _ in sys.stdin:
        complete(cluster)
finally:
    cluster.shutdown()
