"""The container's health check: a program of its own that asks the gateway over its port, as any client would."""
