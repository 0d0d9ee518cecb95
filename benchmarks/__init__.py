"""What the system does per second and per order, beside workflows of the same shape with nothing in them."""
