"""Puts a model on the shared volume, whole and ready to load: plan, fetch, verify, convert, publish.

It runs once and ends; it opens no port and knows nothing of the gateway beyond the volume's shape.
"""
