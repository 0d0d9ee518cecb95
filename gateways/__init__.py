"""The only code that speaks to payment gateways."""
