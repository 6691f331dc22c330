"""What every HTTP face of the axis has in common: problem details and the correlation id."""

from shared.http.correlation import CORRELATION_HEADER, CorrelationMiddleware
from shared.http.problem import PROBLEM_MEDIA_TYPE, ProblemDetails
from shared.http.traces import TraceMiddleware

__all__ = ["CORRELATION_HEADER", "PROBLEM_MEDIA_TYPE", "CorrelationMiddleware", "ProblemDetails", "TraceMiddleware"]
