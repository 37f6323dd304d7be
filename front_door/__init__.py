"""The published port: bytes in, bytes out, so that the gateway needs no network that leads anywhere."""
