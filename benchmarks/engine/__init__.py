"""The engine driven by itself: in a process of its own, with the options that the gateway would give its worker."""
