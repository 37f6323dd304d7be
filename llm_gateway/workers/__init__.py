"""One process per loaded model, and the socket between it and the gateway."""
