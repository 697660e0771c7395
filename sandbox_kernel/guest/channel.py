"""How the keeper and the cell's process talk: two socket pairs, length-prefixed messages.

A message is one line of JSON, and after it, for some, an event as it goes onto the wire. ``orders`` brings cells to the
cell's process. Over ``talk`` that process says events and waits for the answer to each, which the keeper gives after it
has emptied the pipes and passed the event on. Two pairs, because threads of earlier cells may talk while the main thread
waits for an order.

The user's code can reach the sockets of its process and write into them: for the keeper both are hostile, and what is no
message ends the conversation. The cell's process then goes on in silence and its exit status tells the end.
"""

from __future__ import annotations

# What socket and threading are made of; those have more, and need more.
import _socket
import _thread
import fcntl
import os

from . import TYPE_CHECKING, notation
from .frames import EVENT_BYTES
from .interrupts import Interrupts

if TYPE_CHECKING:
    import signal
    from collections import deque
    from typing import Any, Deque, List, Optional, Tuple

    #: A message's line, and its event.
    Message = Tuple[Any, bytes]
else:
    import _signal as signal  # What signal is made of; that has names for the numbers, and needs enum for it.
    from _collections import deque

#: Bytes of a message's length.
_LENGTH = 4
_SIGNALS = signal.valid_signals()


def send(sock: _socket.socket, head: Any, body: bytes = b"") -> None:
    """Write one message."""
    line = notation.dumps(head).encode("ascii")
    sock.sendall((len(line) + 1 + len(body)).to_bytes(_LENGTH, "big") + line + b"\n" + body)


def send_if_heard(sock: _socket.socket, head: Any) -> None:
    """Write one message, if there still is somebody at the other end."""
    try:
        send(sock, head)
    except OSError:
        pass


def receive(sock: _socket.socket) -> Any:
    """Read one message and return its line, waiting for it; None at the end of the stream."""
    head = _exactly(sock, _LENGTH)
    body = _exactly(sock, int.from_bytes(head, "big")) if head else None
    return None if body is None else notation.loads(body)


def _exactly(sock: _socket.socket, size: int) -> Optional[bytes]:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            return None
        data += part
    return bytes(data)


class Inbox:
    """The keeper's reading end: takes what is there and returns whole messages, so a stuck writer cannot hold it up."""

    def __init__(self, sock: _socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._data = bytearray()

    def take(self) -> List[Message]:
        """Return the messages completed by one read. Raises EOFError at the end, ValueError for what is no message."""
        try:
            part = self._sock.recv(1 << 20)
        except BlockingIOError:
            return []
        if not part:
            raise EOFError
        self._data += part
        messages = []
        while len(self._data) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._data[:_LENGTH], "big")
            if end > EVENT_BYTES + 4096:
                raise ValueError("too long for a message")
            if len(self._data) < end:
                break
            line, _, body = bytes(self._data[_LENGTH:end]).partition(b"\n")
            messages.append((notation.loads(line), body))
            del self._data[:end]
        return messages


class Talk:
    """The cell process's end of ``talk``: say something and wait until it has been passed on."""

    def __init__(self, sock: _socket.socket, interrupts: Interrupts) -> None:
        self._sock = sock
        self._interrupts = interrupts
        self._pid = os.getpid()
        self._lock = _thread.RLock()
        self._waiting: Deque[Message] = deque()
        self._busy = False
        self._count = 0
        self._open = True

    def say(self, *words: Any, body: bytes = b"") -> bool:
        """Send a message and wait for its answer. False: nobody hears us.

        A forked child stays silent: the conversation is its parent's.
        """
        if os.getpid() != self._pid or not self._open:
            return False
        with self._lock:
            if self._busy:  # By a finalizer within our own say(), which sends it after its own.
                self._waiting.append((words, body))
                return True
            before, held = signal.pthread_sigmask(signal.SIG_BLOCK, ()), None
            try:
                # A handler of the user's that raises between the halves of a message would break all that follow. It may
                # raise here, after the signals are blocked: nothing has been begun then, and they are let through again.
                signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
                held = self._interrupts.hold()  # Another thread may take what is blocked here.
                self._busy = True
                self._send_all((words, body))
            finally:
                self._busy = False
                try:
                    signal.pthread_sigmask(signal.SIG_SETMASK, before)
                finally:
                    self._interrupts.let_go(held)
            return self._open

    def _send_all(self, message: Message) -> None:
        self._waiting.append(message)
        try:
            while self._waiting:
                self._exchange(*self._waiting.popleft())
        except OSError:  # The user's code closed our socket, or wrote into it and the keeper hung up.
            self._open = False

    def _exchange(self, words: Any, body: bytes) -> None:
        self._count += 1
        send(self._sock, [self._count, *words], body)
        answer = None
        while answer != self._count:  # Another answer is to what the user's code wrote into our socket.
            answer = receive(self._sock)
            if answer is None:
                raise ConnectionError


def out_of_the_way(sock: _socket.socket) -> _socket.socket:
    """Give ``sock`` a number that code which closes "everything from 3 up" does not reach, when the limit has room."""
    try:
        return _socket.socket(fileno=fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, 500))
    except OSError:
        return sock
