"""Everything this package raises on the host.

    SandboxError
     ├─ ConfigurationError        a setting that cannot work
     ├─ BackendError              no sandbox, or none any more
     │   ├─ BackendUnavailable    there is no runtime or no cluster to ask
     │   ├─ SandboxRefused        it was asked and said no: image, quota, admission, scheduling
     │   │   └─ SandboxGone       it has ended before anything was delivered to it
     │   └─ SandboxLost           the sandbox vanished while it had our cell
     ├─ StateError                the session's state
     │   ├─ StateNotSaved         it could not be saved; what was saved before is good
     │   └─ StateUnusable         what was saved cannot be used here, now
     └─ GuestProtocolError        the guest did not keep to the wire

What the cell did (an exception, a timeout, running out of memory) is none of these: it is an outcome, see
:class:`sandbox_kernel.guest.wire.Finished`. Foreign errors are translated where they arise, with ``from``.
"""

from __future__ import annotations

#: The next step where a state cannot be used.
GO_BACK = "Go back to another with `%sandbox undo`, or begin anew with `%sandbox reset`."

OR_BEGIN_ANEW = ", or begin anew with `%sandbox reset`."


class SandboxError(Exception):
    """Base of all errors of this package. ``advice`` is the next step for the user, empty when there is none."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".rstrip()


class ConfigurationError(SandboxError):
    """A setting has a value that cannot work."""


class BackendError(SandboxError):
    """No sandbox could be had, or the one that ran the cell is gone."""


class BackendUnavailable(BackendError):
    """There is no gVisor here, or no cluster that answers. Nothing was run."""


class SandboxRefused(BackendError):
    """The cluster or the runtime was asked for a sandbox and refused it. Nothing was run."""


class SandboxGone(SandboxRefused):
    """The sandbox had ended before anything was delivered to it. Nothing was run."""


class SandboxLost(BackendError):
    """The sandbox went away with the cell in it; what the cell did until then is not known."""


class StateError(SandboxError):
    """Something about the session's state did not work."""


class StateNotSaved(StateError):
    """The state after a cell could not be saved. ``alive``: the sandbox that holds it goes on."""

    def __init__(self, message: str, advice: str = "", *, alive: bool = False) -> None:
        super().__init__(message, advice)
        self.alive = alive


class StateUnusable(StateError):
    """A snapshot or a saved session cannot be used: of another version, or its surroundings have changed.

    ``damaged``: it never will be.
    """

    def __init__(self, message: str, advice: str = "", *, damaged: bool = False) -> None:
        super().__init__(message, advice)
        self.damaged = damaged


class GuestProtocolError(SandboxError):
    """The program in the sandbox said something the wire does not know; the sandbox was ended."""


def as_lost(error: SandboxError) -> SandboxLost:
    """Return what a refusal means when the sandbox may have the cell by then."""
    lost = SandboxLost(error.message, error.advice)
    lost.__cause__ = error
    return lost
