"""Logs and metrics: structured lines with the correlation id, figures for Prometheus."""

from shared.telemetry.correlation import bind_correlation_id, correlation_id, new_correlation_id, well_formed
from shared.telemetry.logs import configure_logs, get_logger

__all__ = [
    "bind_correlation_id",
    "configure_logs",
    "correlation_id",
    "get_logger",
    "new_correlation_id",
    "well_formed",
]
