"""Task queues, priorities, policies and search attributes: the names that workers, workflows and clients share."""

from datetime import timedelta

from temporalio.common import RetryPolicy, SearchAttributeKey

ORDERS = "orders"
"""Workflows and their database steps (local activities)."""
UPDATES = "updates"
"""Notifications and other slow work."""


def gateway_queue(account: str) -> str:
    """The task queue of one PG account: calls to one PG never wait behind another's."""
    return f"pg.{account}"


ORDER_PRIORITY = 1
SECTION_PRIORITY = 5
"""The customer waits for the order's payment, not for the sections: they catch up after a burst."""

OPMS_STORE = SearchAttributeKey.for_keyword("OpmsStore")
OPMS_NUMBER = SearchAttributeKey.for_keyword("OpmsNumber")
OPMS_STATUS = SearchAttributeKey.for_keyword("OpmsStatus")
OPMS_PAYMENT_STATUS = SearchAttributeKey.for_keyword("OpmsPaymentStatus")
OPMS_NEEDS_ATTENTION = SearchAttributeKey.for_bool("OpmsNeedsAttention")
SEARCH_ATTRIBUTES = (OPMS_STORE, OPMS_NUMBER, OPMS_STATUS, OPMS_PAYMENT_STATUS, OPMS_NEEDS_ATTENTION)

STORE_STEP_TIMEOUT = timedelta(seconds=10)
STORE_STEP_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=5)
)
"""Database steps are retried until the database is back: an order waits, it is never lost."""

GATEWAY_CALL_TIMEOUT = timedelta(seconds=15)
"""Longer than a worker itself waits for all that a call takes: a time-out here means that the worker is gone."""
RESEND_WAITS = timedelta(seconds=60)
"""How long a call that was sent before may wait for a worker: then it is judged anew whether to send it at all."""
GATEWAY_CALL_RETRY = RetryPolicy(maximum_attempts=1)
"""Never retried blindly: what is not answered is *unknown*, and the order's resolution ladder asks again."""
