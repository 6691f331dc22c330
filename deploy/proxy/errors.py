"""
What keeps the proxy from running.

    NodeError
    └── ProxyError     the person who started it must change something
"""

from deploy.embedded.errors import NodeError


class ProxyError(NodeError):
    """
    The proxy cannot run as things stand.
    """
