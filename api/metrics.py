"""What the server counts for Prometheus. Labels are templates and statuses, never values from a request."""

from prometheus_client import Counter, Histogram

REQUESTS = Counter("opms_http_requests_total", "Requests answered.", ["method", "route", "status"])
LATENCY = Histogram(
    "opms_http_request_seconds",
    "Seconds from the request's head to the end of its answer.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request. ``route`` is a template."""
    known = method if method in METHODS else "other"
    REQUESTS.labels(known, route, str(status)).inc()
    LATENCY.labels(known, route).observe(seconds)
