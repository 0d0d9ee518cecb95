"""What decides over time: orders and their sections. Pure; every effect is a step of `contracts`."""
