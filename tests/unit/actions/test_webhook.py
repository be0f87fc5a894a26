# SPDX-License-Identifier: GPL-3.0-or-later
"""A webhook that answers well, badly, late, in drips or never: the message arrives, or the time is kept."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from cyber_zfs_backup.actions.webhook import LIMIT, PAUSES, WebhookError, post

SECRET = "T0pS3cret"
DOCUMENT = json.dumps({"text": "a backup failed: \u00e4"})
AT_ONCE = (0.0, 0.0, 0.0)

Answer = Callable[[socket.socket, "Server"], None]


def status(line: str, *headers: str) -> Answer:
    """Answers that, at once."""

    def answer(connection: socket.socket, _server: Server) -> None:
        head = "".join(f"{header}\r\n" for header in (*headers, "Content-Length: 0"))
        connection.sendall(f"HTTP/1.1 {line}\r\n{head}\r\n".encode())

    return answer


def closes(connection: socket.socket, _server: Server) -> None:
    """Ends the connection without a word."""


def hangs(_connection: socket.socket, server: Server) -> None:
    """Takes the request, and says nothing."""
    server.over.wait(60)


def drips(connection: socket.socket, server: Server) -> None:
    """A byte every now and then, so that each one is in time: of a line that never ends."""
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-More: and more of it\r\n" * 1000:
        connection.sendall(bytes([byte]))
        if server.over.wait(0.05):
            return


def goes_on(connection: socket.socket, server: Server) -> None:
    """Asks again and again to be sent more."""
    while not server.over.wait(0.01):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


@dataclass
class Server:
    """Answers each connection with the next of ``answers``, the last one for ever."""

    answers: list[Answer]
    heard: list[bytes] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/hooks/{SECRET}?x={SECRET}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self.heard.append(request(connection))
                answer = self.answers[min(len(self.heard), len(self.answers)) - 1]
                answer(connection, self)


def request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(4096)
    head, _, rest = data.partition(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    while len(rest) < length:
        rest += connection.recv(4096)
    return head + b"\r\n\r\n" + rest


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    made: list[tuple[Server, threading.Thread]] = []

    def serve(*answers: Answer) -> Server:
        server = Server(list(answers))
        thread = threading.Thread(target=server.serve)
        thread.start()
        made.append((server, thread))
        return server

    yield serve
    for server, thread in made:
        server.over.set()
        with suppress(OSError):
            server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join(10)
        assert not thread.is_alive()


def refused(url: str, limit: float = 10.0, pauses: tuple[float, ...] = AT_ONCE) -> tuple[WebhookError, float]:
    began = time.monotonic()
    with pytest.raises(WebhookError) as caught:
        post(url, DOCUMENT, limit, pauses)
    assert SECRET not in f"{caught.value} {caught.value.what} {caught.value.remedy}"
    assert caught.value.remedy
    return caught.value, time.monotonic() - began


def test_it_is_one_post_of_json(serving: Callable[..., Server]) -> None:
    server = serving(status("204 No Content"))
    post(server.url, DOCUMENT)
    (heard,) = server.heard
    head, _, data = heard.partition(b"\r\n\r\n")
    assert head.startswith(f"POST /hooks/{SECRET}?x={SECRET} HTTP/1.1\r\n".encode())
    assert b"Content-Type: application/json" in head
    assert json.loads(data) == {"text": "a backup failed: ä"}


def test_passing_trouble_is_tried_again(serving: Callable[..., Server]) -> None:
    server = serving(status("500 Internal Server Error"), status("503 Busy"), status("200 OK"))
    post(server.url, DOCUMENT, pauses=AT_ONCE)
    assert len(server.heard) == 3
    assert len(set(server.heard)) == 1


@pytest.mark.parametrize("line", ["500 x", "429 x", "408 x", "599 x"])
def test_three_times_and_no_more(serving: Callable[..., Server], line: str) -> None:
    server = serving(status(line))
    error, _ = refused(server.url)
    assert line[:3] in error.what
    assert len(server.heard) == 3


def test_the_pauses_grow_and_fit_the_limit() -> None:
    assert list(PAUSES) == sorted(set(PAUSES))
    assert len(PAUSES) == 3
    assert sum(PAUSES) < LIMIT == 30


def test_a_connection_that_breaks_is_tried_again(serving: Callable[..., Server]) -> None:
    server = serving(closes, closes, status("200 OK"))
    post(server.url, DOCUMENT, pauses=AT_ONCE)
    assert len(server.heard) == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("404 Not Found", "answers 404 Not Found"),
        ("401 x", "answers 401"),
        ("298 x", ""),
        ("799 x", "answers 799"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(serving: Callable[..., Server], line: str, said: str) -> None:
    server = serving(status(line))
    if said:
        error, _ = refused(server.url)
        assert said in error.what
    else:
        post(server.url, DOCUMENT)
    assert len(server.heard) == (3 if line.startswith("799") else 1)


@pytest.mark.parametrize("to", ["file:///etc/passwd", "http://127.0.0.1:1/", f"/{SECRET}"])
def test_it_is_led_nowhere(serving: Callable[..., Server], to: str) -> None:
    server = serving(status("302 Found", f"Location: {to}"))
    error, _ = refused(server.url)
    assert "leads elsewhere (302 Found)" in error.what
    assert len(server.heard) == 1


@pytest.mark.parametrize("answer", [hangs, drips, goes_on])
def test_one_that_does_not_come_to_an_end_is_ended(serving: Callable[..., Server], answer: Answer) -> None:
    server = serving(answer)
    error, seconds = refused(server.url, limit=0.8)
    assert "has not answered within 0.8 s" in error.what
    assert seconds < 3
    # It may have arrived: the next run tries again, and not this one.
    assert len(server.heard) == 1


def test_one_whose_connection_is_never_taken_is_ended() -> None:
    """A listener whose queue is full: the connection itself takes for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        error, seconds = refused(f"http://127.0.0.1:{address[1]}/{SECRET}", limit=0.8)
        for each in waiting:
            each.close()
    assert "has not answered within 0.8 s" in error.what
    assert seconds < 3


def test_one_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error, _ = refused(f"http://127.0.0.1:{port}/{SECRET}")
    assert error.what == f"http://127.0.0.1:{port}/... cannot be reached: Connection refused"


def test_https_wants_a_certificate_and_gets_none(serving: Callable[..., Server]) -> None:
    """Speech that is no TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def speak() -> None:
            with suppress(OSError):
                while not over.is_set():
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                        connection.recv(4096)

        thread = threading.Thread(target=speak)
        thread.start()
        error, _ = refused(f"https://127.0.0.1:{listener.getsockname()[1]}/{SECRET}")
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert "cannot be reached" in error.what


def test_no_proxy_is_asked(serving: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    server = serving(status("200 OK"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    post(server.url, DOCUMENT, pauses=AT_ONCE)
    assert len(server.heard) == 1
