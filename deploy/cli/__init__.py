"""The `axis` command: a node's operators and an agency's integrators at the terminal."""
