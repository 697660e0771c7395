"""Runs cells that carry their state, each in a forked process of its own: started by :mod:`carry_sessions`, by any Python.

It reads one JSON line of jobs and writes one of results::

    job     "code", "name", "home", "parts", and may have "head" ([digest, size]), "held" ([[digest, size], ...]),
            "cap_bytes", "advice", "remedy", "trusted", "before", "ahead" (true: there is time before the cell), or "plain"
            (true: without the carrier)
    result  "error": traceback or null, "unloadable": text or null, "missing": [[name, why]], what was saved, "late": modules
            that saving imported, and more; or "crash"

Only parts in ``held`` can be read. ``before`` is code of the test, run in a namespace of its own before the carrier is made;
it sees the ``store`` and the module ``carry``.
"""

import builtins
import contextlib
import importlib
import json
import linecache
import mmap
import os
import select
import shutil
import signal
import sys
import time
import traceback
import types

#: Longer than any cell of the tests takes.
PATIENCE_S = 60


class Parts:
    """Parts as files of a directory, which are named by their digests."""

    def __init__(self, folder, held, trusted):
        self.folder, self.held, self.trusted = folder, dict(held), trusted
        self.written, self.got = [], []

    def path(self, digest):
        return os.path.join(self.folder, digest)

    def read(self, digest, size):
        self.got.append(digest)
        if self.held.get(digest) != size:
            raise FileNotFoundError(f"the host holds no part {digest} of {size} bytes")
        with open(os.path.join(self.folder, digest), "rb") as file:
            if size == 0 or os.fstat(file.fileno()).st_size != size:
                return memoryview(bytearray(file.read()))
            return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY))

    def write(self, digest, data):
        data = memoryview(data).cast("B")
        self.written.append([digest, len(data)])
        with open(os.path.join(self.folder, digest), "wb") as file:
            file.write(data)


def empty(home):
    """Make the directory new, as it is in a new sandbox."""
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home)
    os.chdir(home)


def run(job, carry):
    """Be one sandbox: begin, load, run the cell, save. Returns the result."""
    empty(job["home"])
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    sys.path.insert(0, "")
    if job.get("plain"):
        return {"error": evaluate(job["code"], job["name"], main)}
    store = Parts(job["parts"], job.get("held", []), job.get("trusted", False))
    exec(job.get("before", ""), {"store": store, "carry": carry})
    carrier = carry.Carrier(
        main, store, cap_bytes=job.get("cap_bytes"), advice=job.get("advice", ""), remedy=job.get("remedy", "")
    )
    carrier.begin()
    result = {"error": None, "unloadable": None, "missing": [], "seconds": {}}
    if job.get("head"):
        start = time.perf_counter()
        try:
            result["missing"] = [[item.name, item.why] for item in carrier.load(carry.Part(*job["head"]))]
        except carry.Unloadable as error:
            return {**result, "unloadable": str(error)}
        result["seconds"]["load"] = time.perf_counter() - start
    if job.get("ahead"):
        list(carrier.import_ahead())
    result["error"] = evaluate(job["code"], job["name"], main)
    result["modules"] = sorted(sys.modules)
    start = time.perf_counter()
    saved = carrier.save()
    result["seconds"]["save"] = time.perf_counter() - start
    result["late"] = sorted(set(sys.modules) - set(result["modules"]))
    result["head"] = [saved.head.digest, saved.head.size]
    result["parts"] = [[part.digest, part.size] for part in saved.parts]
    result["names"] = saved.names
    result["lost"] = [[item.name, item.why] for item in saved.lost]
    return {**result, "written": store.written, "read": store.got}


def evaluate(code, name, main):
    """Return the traceback of what the cell raised, or None."""
    linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    try:
        exec(compile(code, name, "exec", dont_inherit=True), main.__dict__)
    except BaseException:  # noqa: BLE001
        return traceback.format_exc()
    return None


def in_a_fork(job, carry):
    """Run the job in a child, and say so if it dies or does not come to an end."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            result = run(job, carry)
        except BaseException:  # noqa: BLE001
            result = {"crash": traceback.format_exc()}
        with open(theirs, "w") as pipe:
            json.dump(result, pipe)
        os._exit(0)
    os.close(theirs)
    data, until = [], time.monotonic() + PATIENCE_S
    while select.select([ours], [], [], max(0, until - time.monotonic()))[0]:
        data.append(os.read(ours, 1 << 16))
        if not data[-1]:
            break
    os.close(ours)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    try:
        return json.loads(b"".join(data))
    except ValueError:
        return {"crash": f"the process ended with status {status}, or hangs"}


def main():
    folder, *preload = sys.argv[1:]
    sys.path[0] = folder
    carry = importlib.import_module("_sandbox_guest.carry")
    for name in preload:
        importlib.import_module(name)
    answers = os.dup(1)
    os.dup2(2, 1)
    jobs = json.loads(sys.stdin.readline())
    results = [in_a_fork(job, carry) for job in jobs]
    with open(answers, "w") as pipe:
        json.dump(results, pipe)


if __name__ == "__main__":
    main()
