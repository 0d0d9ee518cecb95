"""The page on which a customer pays a request by its link: ``/pay/{token}``."""
