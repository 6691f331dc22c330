"""The bus between processes: RabbitMQ behind the same port."""
