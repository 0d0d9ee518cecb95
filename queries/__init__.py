"""The only way to look: SELECTs that return frozen views. No write, no table object leaves this room."""
