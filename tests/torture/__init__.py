"""Torture: random orders, random faults, killed processes; judged by the PGs' own ledgers."""
