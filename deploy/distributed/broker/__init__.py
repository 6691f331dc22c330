"""RabbitMQ of this machine's packages, private to a folder: started, stopped and killed by whoever owns it."""

from deploy.distributed.broker.cluster import PrivateCluster
from deploy.distributed.broker.node import PROGRAMS
from deploy.distributed.broker.private import ADMIN, PrivateRabbit

__all__ = ["ADMIN", "PROGRAMS", "PrivateCluster", "PrivateRabbit"]
