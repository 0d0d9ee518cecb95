"""NICE Payments (Start API v1): the adapter, after the vendor's manual nicepayments/nicepay-manual of 2025-07."""
