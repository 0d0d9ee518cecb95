"""What the server counts for Prometheus. Labels are templates and statuses, never values from a request."""

from prometheus_client import Counter, Histogram

REQUESTS = Counter("opms_http_requests_total", "Requests answered.", ["method", "route", "status"])
LATENCY = Histogram(
    "opms_http_request_seconds",
    "Seconds from the request's head to the end of its answer.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
WEBHOOKS_REFUSED = Counter(
    "opms_webhooks_refused_total", "Webhooks refused; nothing was stored.", ["account", "reason"]
)
WEBHOOK_EVENTS = Counter(
    "opms_webhook_events_total",
    "Webhook events: about an order, about none, takes_back (no to what had succeeded), duplicate, or not stored.",
    ["account", "result"],
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request. ``route`` is a template."""
    known = method if method in METHODS else "other"
    REQUESTS.labels(known, route, str(status)).inc()
    LATENCY.labels(known, route).observe(seconds)


def count_refused_webhook(account: str | None, reason: str) -> None:
    """Count a webhook that was refused. ``account`` None: not one of ours; ``reason``: the code of the refusal."""
    WEBHOOKS_REFUSED.labels(account or "unknown", reason).inc()


def count_webhook_events(account: str, **results: int) -> None:
    """Count verified events by what became of them."""
    for result, number in results.items():
        if number:
            WEBHOOK_EVENTS.labels(account, result).inc(number)
