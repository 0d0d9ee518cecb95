"""The rules: money, states, cascade, routing. Standard library only; no clock, ids, dice or I/O."""
