"""The only builder: settings, logs and the embedded servers that everything else is put together from."""
