"""Clients as they are: most ask and read, some leave, dawdle, ask for too much, or send what is no request at all."""

import http.client
import json
import random
import socket
import time
from dataclasses import dataclass
from typing import Final

from tests.support.dialects import ALONE, BATCH, EVERY_WAY, PROMPT, Ending, Way
from tests.support.gateway_process import GatewayProcess

DIED: Final = "the model's process ended"
SHORT: Final = ("How do I change the port?", "Say hello with emoji.", "What is VERIFY?", PROMPT)
LONG: Final = "The gateway answers when the model is warm. " * 60
MUCH_TOO_LONG: Final = "warm " * 3000
KINDS: Final = {
    "asks": 10,
    "asks at length": 4,
    "reads slowly": 2,
    "leaves at once": 2,
    "leaves in the middle": 3,
    "asks for too much": 1,
    "sends no JSON": 1,
    "leaves in the middle of its request": 1,
}
"""Each kind of client and its weight."""
_NO_ROOM: Final = frozenset({429, 503})
_BAD: Final = frozenset({400, 413, 422})
_PATIENCE_S: Final = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """What one client saw of its request."""

    request_id: str
    way: str
    kind: str
    what: str
    """answered, told (that it failed), turned away, refused, left; or `lost`, which must not be."""
    why_lost: str = ""


def one(running: GatewayProcess, draw: random.Random, request_id: str) -> Seen:
    """Be one client, whatever kind comes up."""
    [kind] = draw.choices(list(KINDS), list(KINDS.values()))
    way = draw.choice(EVERY_WAY if kind.startswith("asks") else ALONE)
    try:
        what = _be(running, draw, way, kind, request_id)
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        return Seen(request_id, way.name, kind, "lost", f"{type(error).__name__}: {error}")
    lost = what.startswith("lost: ")
    return Seen(request_id, way.name, kind, "lost" if lost else what, what.removeprefix("lost: ") if lost else "")


def _be(running: GatewayProcess, draw: random.Random, way: Way, kind: str, request_id: str) -> str:
    match kind:
        case "asks":
            return _judge(way, way.ask(running, draw.randint(1, 60), request_id, draw.choice(SHORT)))
        case "asks at length":
            return _judge(
                way, way.ask(running, draw.randint(100, 400), request_id, LONG[: draw.randint(500, len(LONG))])
            )
        case "reads slowly":
            return _judge(way, _slowly(running, way, request_id))
        case "asks for too much":
            return _judge_refusal(way, way.ask(running, 1, request_id, MUCH_TOO_LONG))
        case "sends no JSON":
            return _judge_refusal(way, _no_json(running, way, request_id))
        case "leaves in the middle of its request":
            _half_a_request(running, way, request_id)
            return "left"
    connection = way.begin(running, draw.randint(100, 1500), request_id, draw.choice(SHORT))
    if kind == "leaves in the middle" and way.streams:
        connection.getresponse().read(1)
    elif kind == "leaves in the middle":
        time.sleep(draw.uniform(0, 0.5))
    connection.close()
    return "left"


def _judge(way: Way, ending: Ending) -> str:
    if ending.status == 200 and way is BATCH and '"error"' in ending.text:
        return "told"
    if way.failed(ending, 503, DIED):
        return "told"
    if ending.status == 200 and ending.whole and DIED not in ending.text:
        return "answered"
    if ending.status in _NO_ROOM and ending.whole:
        return "turned away"
    return f"lost: status {ending.status}, {'whole' if ending.whole else 'cut'}: {ending.text[-300:]!r}"


def _judge_refusal(way: Way, ending: Ending) -> str:
    """Of what cannot be answered; where there is no room, nobody looks that far."""
    if ending.status in _NO_ROOM:
        return "turned away"
    if ending.status in _BAD or (way is BATCH and '"error"' in ending.text):
        return "refused"
    return f"lost: status {ending.status} for what is no request: {ending.text[-300:]!r}"


def _slowly(running: GatewayProcess, way: Way, request_id: str) -> Ending:
    connection = way.begin(running, 60, request_id)
    try:
        response, text = connection.getresponse(), b""
        try:
            while piece := response.read(64):
                text += piece
                time.sleep(0.02)
        except http.client.IncompleteRead as cut:
            return Ending(response.status, (text + cut.partial).decode(errors="replace"), whole=False)
        return Ending(response.status, text.decode(), whole=True)
    finally:
        connection.close()


def _no_json(running: GatewayProcess, way: Way, request_id: str) -> Ending:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=_PATIENCE_S)
    try:
        headers = {"content-type": "application/json", "x-request-id": request_id}
        connection.request("POST", way.path, '{"prompt": "and then noth', headers)
        response = connection.getresponse()
        return Ending(response.status, response.read().decode(), whole=True)
    finally:
        connection.close()


def _half_a_request(running: GatewayProcess, way: Way, request_id: str) -> None:
    body = json.dumps(way.body(20)).encode()
    head = (
        f"POST {way.path} HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nX-Request-ID: {request_id}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=_PATIENCE_S) as connection:
        connection.sendall(head.encode() + body[: len(body) // 2])
