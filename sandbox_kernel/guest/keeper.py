"""The parent of the cell's process: it alone writes frames, keeps time, and tells how a cell ended.

It forks before any code of the user runs: the first process of a gVisor sandbox once had more file rights than it should
(CVE-2025-2713), and what the user's code does to its own process (exit, crash, a closed descriptor) must not end the
conversation with the host. One thread, one ``poll`` loop, no state besides the current cell.

A *lasting* keeper serves cell after cell in a sandbox that gVisor saves after each; what threads write goes on between.
"""

from __future__ import annotations

import _socket  # What socket is made of; that has more, and needs more.
import os
import select
import sys
import time

from . import TYPE_CHECKING, ask, burst, channel, files, frames, output, wire
from .course import FOREVER, Course
from .mailbox import DirectoryMailbox, StreamMailbox
from .records import values_of

if TYPE_CHECKING:
    import signal
    from typing import Any, Callable, Optional, Set, Union
else:
    import _signal as signal  # What signal is made of; that has names for the numbers, and needs enum for it.

#: Passed on as they are: what is not output.
_UNCOUNTED = (wire.Names, wire.Unloadable, wire.Page, wire.Expressions, wire.Outline, wire.Seen)
_NOT_FOR_US = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: A cell that runs needs the processor itself, and is told something now and then.
_LESS_OFTEN = 5


class Keeper:
    """Runs cells from a mailbox in one cell process and frames what comes of it onto ``wire_fd``."""

    def __init__(
        self,
        mailbox: Union[StreamMailbox, DirectoryMailbox],
        wire_fd: int,
        start_cell_process: Callable[[_socket.socket, _socket.socket, burst.Burst], None],
        *,
        idle_s: Optional[float] = None,
        lasting: bool = False,
        save_s: Optional[float] = None,
        memory_kib: Optional[int] = None,
        heartbeat_s: float = wire.HEARTBEAT_S,
    ) -> None:
        self._mailbox = mailbox
        self._wire_fd = wire_fd
        self._start = start_cell_process
        self._idle_s = idle_s
        self._lasting = lasting
        #: How long the cell's process may take to carry its state out. None: it does not.
        self._save_s = save_s
        self._saving_until: Optional[float] = None
        self._ended: Optional[wire.Finished] = None
        self._memory_kib = memory_kib
        self._heartbeat_s = heartbeat_s
        self._encoder = frames.Encoder()
        self._pump = output.Pump(self._emit)
        self._last_write = time.monotonic()
        self._cell: Optional[wire.Cell] = None
        self._course = Course(wire.Cell(0, ""))
        self._files = files.Folder(".")
        self._poll = select.poll()
        self._calm_poll = select.poll()  # The same without the pipes.
        self._heard, self._reaped = 0, False
        self._awake = False  # Until it has its state a directory is not looked at: a cell that lies there has not begun.

    # -- life

    def run(self) -> int:
        """Run the cells that come and return the exit status that the last deserves. Returns 0 when none comes."""
        self._fork()
        try:
            self._loop()
        finally:
            self._kill()
        if self._ended is None:
            return 0
        return 1 if self._ended.exit_status is None else self._ended.exit_status & 0xFF

    def _fork(self) -> None:
        orders, their_orders = _socket.socketpair()
        talk, their_talk = _socket.socketpair()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        shared = burst.Burst()
        # The handler does nothing; the byte in the pipe wakes the poll when any child ends.
        self._woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        # As for process 1 anywhere. gVisor does deliver them, and a cell may mean all its processes with them.
        for number in _NOT_FOR_US:
            signal.signal(number, signal.SIG_IGN)
        self.pid = os.fork()
        if self.pid == 0:
            self._become_cell_process(out_write, err_write, their_orders, their_talk, shared)
        their_orders.close()
        their_talk.close()
        os.close(out_write)
        os.close(err_write)
        self._orders, self._talk, self._inbox = orders, talk, channel.Inbox(talk)
        self._pipes = (out_read, err_read)
        self._pump.attach(out_read, err_read, shared)

    def _become_cell_process(
        self, out: int, err: int, orders: _socket.socket, talk: _socket.socket, shared: burst.Burst
    ) -> None:
        status = 1
        try:
            # A group, and no session: gVisor hangs up on the group of a session's leader as soon as one of it is stopped.
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, *_NOT_FOR_US):
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (out, 1), (err, 2)):
                os.dup2(source, target)
            orders, talk = channel.out_of_the_way(orders), channel.out_of_the_way(talk)
            keep = sorted((orders.fileno(), talk.fileno()))
            os.closerange(3, keep[0])
            os.closerange(keep[0] + 1, keep[1])
            os.closerange(keep[1] + 1, keep[1] + 64)
            self._start(orders, talk, shared)
            status = 0
        except BaseException:
            import traceback  # Which is never needed, if all is well.

            os.write(2, traceback.format_exc().encode("utf-8", "replace"))
        finally:
            os._exit(status)

    # -- loop

    def _register(self) -> None:
        for fd in (self._talk.fileno(), self._woken, self._mailbox.fd):
            if fd is not None:
                self._poll.register(fd, select.POLLIN)
                self._calm_poll.register(fd, select.POLLIN)
        for fd in self._pipes:
            self._poll.register(fd, select.POLLIN)

    def _loop(self) -> None:
        self._register()
        idle_until = time.monotonic() + (FOREVER if self._idle_s is None else self._idle_s)
        while True:
            poll = self._calm_poll if time.monotonic() < self._pump.rest_until else self._poll
            ready = {fd for fd, _ in poll.poll(self._wait_s(idle_until) * 1000)}
            finished = self._look_at_cell(ready)
            if finished is None and (self._mailbox.fd in ready or (self._mailbox.fd is None and self._awake)):
                finished = self._read_mailbox()
            if self._mailbox.closed or (self._cell is None and time.monotonic() >= idle_until):
                return
            if finished is not None:
                self._finish(finished)
                if not (self._lasting and finished.lives) and self._saving_until is None:
                    return
            now = time.monotonic()
            self._pump.go_on(now)
            if now - self._last_write >= self._heartbeat_s:
                self._emit(wire.Heartbeat())

    def _look_at_cell(self, ready: Set[int]) -> Optional[wire.Finished]:
        """Pass on what the cell's process gave us; return how the cell ended when it has."""
        # Pipes before talk: whoever talks waits for the answer, so what is in the pipes was written first.
        for fd in self._pump.in_order():
            if fd in ready and self._pump.read(fd) == 0:
                self._poll.unregister(fd)
        finished = self._hear() if self._talk.fileno() in ready else None
        if finished is None and self._woken in ready:
            os.read(self._woken, 4096)
            finished = self._reap()
        if finished is None and time.monotonic() >= self._deadline():
            finished = self._time_out()
        return finished

    def _wait_s(self, idle_until: float) -> float:
        now = time.monotonic()
        idle_until = idle_until if self._cell is None else FOREVER
        until = [self._last_write + self._heartbeat_s, self._deadline(), self._pump.next_at(now), idle_until]
        if self._mailbox.wait_s is not None:
            until.append(now + self._mailbox.wait_s * (1 if self._cell is None else _LESS_OFTEN))
        return max(0.0, min(until) - now)

    def _deadline(self) -> float:
        if self._saving_until is not None:
            return self._saving_until
        return FOREVER if self._cell is None else self._course.deadline()

    def _read_mailbox(self) -> Optional[wire.Finished]:
        finished = None
        for data in self._mailbox.take():
            message = wire.load_message(data)
            if isinstance(message, wire.Cell) and self._cell is None:
                finished = self._begin(message)
            elif isinstance(message, wire.Wake):
                self._order("wake", message.session, message.anew)
            elif isinstance(message, wire.Ask):
                self._order("names")
            elif isinstance(message, wire.Look) and self._cell is None:
                self._order("look", message.number, message.what, message.subject)
            elif isinstance(message, (wire.Input, wire.Interrupt)):
                self._tell(message)
        return finished

    def _tell(self, message: Union[wire.Input, wire.Interrupt]) -> None:
        """Pass on to the cell what is said to it while it runs."""
        self._heard += 1
        self._emit(wire.Taken(self._heard))
        if self._cell is None or self._saving_until is not None:
            return
        if isinstance(message, wire.Interrupt):
            self._course.stop("interrupted")
            self._signal(signal.SIGINT)
            return
        number = self._course.answered()
        if number is not None:
            self._order(ask.ANSWER, number, message.text)

    def _begin(self, cell: wire.Cell) -> Optional[wire.Finished]:
        """Start the cell; return how it ended when it could not be started."""
        self._cell, self._course, self._heard = cell, Course(cell), 0
        self._pump.begin(cell.output_bytes)
        self._emit(wire.Started(cell.number))
        try:
            self._files.write(cell.files)
        except (OSError, ValueError) as error:
            return wire.Finished("error", 1, reason="an input file could not be written: %s" % error)
        if cell.collect_bytes:
            self._files.remember()
        self._order("cell", {**values_of(cell), "files": {}}, time.monotonic())
        return None

    def _order(self, *words: Any) -> None:
        channel.send_if_heard(self._orders, words)  # It may be gone; how will be told when it is reaped.

    # -- what the cell's process says

    def _hear(self) -> Optional[wire.Finished]:
        try:
            for (number, word, *rest), body in self._inbox.take():
                self._pump.drain()
                finished = None
                if word == "done" and self._cell is not None and self._saving_until is None:
                    status, cpu_s = rest
                    lives = self._lasting or self._save_s is not None
                    finished = self._course.ended(status, float(cpu_s), lives=lives)
                elif word == "awake":
                    self._emit(wire.Ready("%d.%d.%d" % sys.version_info[:3], " ".join(os.uname()[:4:2])))
                    self._awake = True
                elif word == "listen":
                    self._pump.listen()
                elif word == "event":
                    self._pass_on(wire.load_event(body))
                elif word == "ask" and self._cell is not None and self._saving_until is None:
                    self._ask(rest[0] if rest else None, wire.load_event(body))
                if finished is None or finished.lives:
                    channel.send(self._talk, number)
                if finished is not None:
                    return finished
        except (EOFError, OSError, ValueError, TypeError, RecursionError):
            # The end, or no message of ours. How the process ends is then told by its exit status.
            self._poll.unregister(self._talk.fileno())
            self._calm_poll.unregister(self._talk.fileno())
            self._talk.close()
        return None

    def _pass_on(self, event: Any) -> None:
        if isinstance(event, wire.Error) and self._course.tell(event):
            # What ended the cell is told also when its output has reached the limit.
            self._pump.flush()
            self._emit(event)
        elif isinstance(event, (wire.Display, wire.Result, wire.ClearOutput, wire.Error, wire.Comm, wire.Told)):
            self._pump.show(event)
        elif isinstance(event, _UNCOUNTED) or (self._saving_until and isinstance(event, wire.Part)):
            self._emit(event)
        elif self._saving_until and isinstance(event, (wire.Saved, wire.NotSaved)):
            self._saving_until = 0.0
            self._emit(event)

    def _ask(self, number: Any, event: Any) -> None:
        if isinstance(event, wire.InputRequest) and self._course.ask(number):
            self._pump.flush()
            self._emit(wire.replace(event, prompt=event.prompt[: ask.PROMPT_CHARS]))

    def _reap(self) -> Optional[wire.Finished]:
        """Take the exit status of every child that ended: as process 1 we inherit the orphans of the cell too."""
        finished = None
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return finished
            if pid == 0:
                return finished
            if pid == self.pid:
                self._reaped = True
                finished = self._course.died(status, usage, self._memory_kib)

    def _time_out(self) -> Optional[wire.Finished]:
        if self._saving_until is None and self._course.stop("timeout"):
            self._signal(signal.SIGINT)
            return None
        self._kill()
        return wire.Finished("timeout", 124)

    def _finish(self, finished: wire.Finished) -> None:
        """Tell how the cell ended, or its state's way out when that was under way."""
        if self._cell is None:
            raise RuntimeError("the cell's process ended while there was no cell: %s" % finished.reason)
        if self._saving_until is not None:
            if self._saving_until:  # It has not said how it went.
                self._emit(wire.NotSaved(finished.reason or "it took longer than %g s" % (self._save_s or 0)))
            self._saving_until = None
            return
        self._pump.end(last=not finished.lives)
        if self._cell.collect_bytes:
            for file in self._files.changed(self._cell.collect_bytes):
                self._emit(file)
        self._ended = wire.replace(finished, wall_s=self._course.wall_s)
        self._emit(self._ended)
        if self._save_s is not None and finished.lives:
            self._saving_until, self._course = time.monotonic() + self._save_s, Course(self._cell)
        else:
            self._cell = None

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except OSError:  # It has not made the group yet, or there is nobody in it any more.
            if not self._reaped:
                os.kill(self.pid, number)

    def _emit(self, event: wire.Event, body: Optional[bytes] = None) -> None:
        """Write an event; ``body`` is what wire.dump() makes of it, where that is known."""
        for frame in self._encoder.frames(wire.dump(event) if body is None else body):
            written = os.write(self._wire_fd, frame)
            if written != len(frame):
                raise OSError("a frame was torn: %d of %d bytes" % (written, len(frame)))
        self._last_write = time.monotonic()
