"""The shared volume's shape: where things are on it, and the manifest that says what is whole.

The fetcher writes it, the gateway reads it, and neither knows anything else of the other.
"""
