"""The one way in which a grammar cannot be made."""


class GrammarError(Exception):
    """A schema or a pattern asks for what cannot be enforced; one sentence for the client, naming the place."""
