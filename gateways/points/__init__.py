"""Points: our own value as a payment gateway. Same interface, same laws, a ledger in our own database."""
