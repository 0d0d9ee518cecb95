"""How the laws reach each vendor: one rig for one vendor."""
