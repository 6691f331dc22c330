"""
The reverse proxy: nginx with TLS in front of the gateways.

`configuration` writes its configuration, `nginx` runs it, `certificates` makes certificates for tries; `python -m
deploy.proxy` runs it in the foreground, as a container does.
"""
