"""
The deployments: they compose the services, and may import everything.
"""
