"""The service that preloads a model, warms it up, and answers on one port."""

__version__ = "0.1.0"
