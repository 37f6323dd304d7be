"""A small Hugging Face hub on real sockets, with the faults that real networks have.

It answers the endpoints that huggingface_hub's client calls, with the real hub's headers and refusals, and writes down
every request so that a test can say what was asked, from where on, and with which credentials.
"""

from tests.hub.faults import Cut, Fault, IgnoreRange, Stall, Status, WrongByte
from tests.hub.repository import Repository
from tests.hub.server import Hub, Request

__all__ = ["Cut", "Fault", "Hub", "IgnoreRange", "Repository", "Request", "Stall", "Status", "WrongByte"]
