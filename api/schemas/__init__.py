"""The JSON that clients see, one file per noun."""
