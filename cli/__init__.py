"""The operator's door: `python -m cli <command>`; one module per command."""
