"""
The same system as separate processes on RabbitMQ and PostgreSQL: one process each, and a supervisor for one machine.
"""
