"""A Ray cluster on this machine, run by a test: a head that computes nothing, and two nodes of one processor each.

Writes its address and the process numbers of the two nodes, and ends when its input does.
"""

import sys

from ray.cluster_utils import Cluster


def main() -> None:
    """Start the cluster, say where it is, and wait."""
    node = {"node_ip_address": "127.0.0.1", "include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0})
    raylets = [cluster.add_node(**node, num_cpus=1).all_processes["raylet"][0].process.pid for _ in range(2)]
    sys.stdout.write(f"{cluster.address} {' '.join(map(str, raylets))}\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
