"""The sandbox PG: a payment gateway of its own process and its own ledger. It knows nothing of OPMS.

Keyed with ``Idempotency-Key`` (and optionally ``Request-Expires-At``, Unix milliseconds), ``Authorization: Bearer``:

    POST /{account}/v1/payments                        authorize: merchant_ref amount currency method
                                                       [token] [capture] [customer] [return_url]
    POST /{account}/v1/payments/{reference}/captures   amount currency
    POST /{account}/v1/payments/{reference}/voids      releases all that is held
    POST /{account}/v1/payments/{reference}/refunds    amount currency
    POST /{account}/v1/cancellations                   neutralize: merchant_ref [operation_key]

Asked with ``Authorization: Bearer`` alone:

    GET  /{account}/v1/payments/{reference}
    GET  /{account}/v1/payments?merchant_ref=
    GET  /{account}/v1/operations/{idempotency_key}
    GET  /{account}/v1/settlements?day=&cursor=&limit=

Open: ``/{account}/3ds/{reference}``, ``/_ledger``, ``/_faults``, ``/_webhooks``, ``/healthz``, ``/``.
A stored answer is replayed for its key, declines and refusals included, unless the operation has been neutralised.
Amounts are minor units. An error is ``{"error": {"code", "message", ...}}``.
"""
