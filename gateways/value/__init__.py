"""Our own value as a payment gateway: points, gift cards, store credit. A ledger of lots in our own database."""
