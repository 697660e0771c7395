"""State of the interpreter and of its process: see :mod:`live_things`."""

from __future__ import annotations

STATE: list[tuple[str, str, str]] = [
    (
        "hash_seed",
        """
        seed_hash, seed_order = hash("some text"), str({f"word{number}" for number in range(30)})
        """,
        """
        (seed_hash, seed_order) == (hash("some te" + "xt"), str({f"word{number}" for number in range(30)}))
        """,
    ),
    (
        "import_hook",
        """
        import importlib.abc, importlib.util, sys
        class HookFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path, target=None):
                return importlib.util.spec_from_loader(name, self) if name.startswith("live_hooked_") else None
            def exec_module(self, module):
                module.answer = module.__name__[-2:]
        sys.meta_path.append(HookFinder())
        """,
        """
        import live_hooked_42
        live_hooked_42.answer == "42"
        """,
    ),
    (
        "patched",
        """
        import builtins, colorsys
        patched_original = colorsys.rgb_to_hsv
        colorsys.rgb_to_hsv = lambda *rgb: ("patched", patched_original(*rgb))
        builtins.live_builtin = lambda: "everywhere"
        """,
        """
        import types
        patched_elsewhere = types.FunctionType(compile("live_builtin()", "", "eval"), {"__builtins__": builtins})()
        (colorsys.rgb_to_hsv(0, 0, 0)[0], patched_elsewhere) == ("patched", "everywhere")
        """,
    ),
    (
        "registrations",
        """
        import codecs, collections.abc, copyreg, functools
        class Registered:
            def __len__(self):
                return 3
        collections.abc.Sequence.register(Registered)
        copyreg.pickle(Registered, lambda registered: (str, ("reduced",)))
        codecs.register(lambda name: codecs.lookup("utf-8") if name == "live_codec" else None)
        @functools.singledispatch
        def registered_kind(value):
            return "object"
        registered_kind.register(Registered, lambda value: "registered")
        """,
        """
        import copy
        registered_found = isinstance(Registered(), collections.abc.Sequence), copy.copy(Registered())
        (registered_found, "x".encode("live_codec"), registered_kind(Registered())) == ((True, "reduced"), b"x", "registered")
        """,
    ),
    (
        "garbage_collector",
        """
        import gc
        gc_seen = []
        def gc_callback(phase, info):
            gc_seen.append(phase)
        gc.callbacks.append(gc_callback)
        gc_before, gc_set = gc.get_threshold(), gc.set_threshold(12345, 11, 12)
        """,
        """
        gc_seen.clear()
        gc_collected = gc.collect(0)
        gc.callbacks.remove(gc_callback)
        gc_now = gc.get_threshold()
        gc.set_threshold(*gc_before)
        gc_seen == ["start", "stop"] and gc_now[:2] == (12345, 11)
        """,
    ),
    (
        "audit_hook",
        """
        import sys
        audit_seen = []
        sys.addaudithook(lambda event, arguments: audit_seen.append(arguments) if event == "live.audit" else None)
        """,
        """
        sys.audit("live.audit", 1, 2)
        audit_seen == [(1, 2)]
        """,
    ),
    (
        "interpreter_settings",
        """
        import sys
        settings_before = sys.getswitchinterval()
        sys.setswitchinterval(0.0125)
        sys.excepthook = settings_hook = lambda *_: None
        """,
        """
        settings_now = round(sys.getswitchinterval(), 6), sys.excepthook is settings_hook
        sys.setswitchinterval(settings_before)
        settings_now == (0.0125, True)
        """,
    ),
    (
        "warnings",
        """
        import warnings
        class LiveWarning(UserWarning):
            pass
        warnings.filterwarnings("error", category=LiveWarning)
        """,
        """
        try:
            warnings.warn("now an error", LiveWarning)
        except LiveWarning as warning:
            warning_raised = str(warning)
        warning_raised == "now an error"
        """,
    ),
    (
        "decimal_context",
        """
        import decimal
        decimal.getcontext().prec = 7
        decimal.getcontext().traps[decimal.Inexact] = False
        """,
        """
        decimal_third = decimal.Decimal(1) / 3
        str(decimal_third) == "0.3333333" and decimal.getcontext().flags[decimal.Inexact]
        """,
    ),
    (
        "locale",
        """
        import locale
        locale_set = locale.setlocale(locale.LC_COLLATE, "C.UTF-8" if locale.setlocale(locale.LC_COLLATE) == "C" else "C")
        """,
        """
        locale.setlocale(locale.LC_COLLATE) == locale_set
        """,
    ),
    (
        "environment",
        """
        import os, time
        os.environ["LIVE_VARIABLE"], os.environ["TZ"] = "set", "LIVE-3:30"
        time.tzset()
        """,
        """
        import subprocess, sys
        environment_code = "import os, time; print(os.environ['LIVE_VARIABLE'], *time.tzname)"
        environment_seen = subprocess.run([sys.executable, "-c", environment_code], capture_output=True, text=True).stdout
        environment_seen == "set LIVE LIVE\\n" and time.timezone == -12600
        """,
    ),
    (
        "umask",
        """
        import os, tempfile
        umask_before, umask_folder = os.umask(0o027), tempfile.mkdtemp()
        """,
        """
        open(umask_folder + "/file", "w").close()
        os.stat(umask_folder + "/file").st_mode & 0o777 == 0o640 and os.umask(umask_before) == 0o027
        """,
    ),
    (
        "resource_limits",
        """
        import resource
        limit_open, limit_cpu = resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit_open[0] - 3, limit_open[1]))
        resource.setrlimit(resource.RLIMIT_CPU, (1000000, limit_cpu[1]))
        """,
        """
        limit_now = resource.getrlimit(resource.RLIMIT_NOFILE)[0], resource.getrlimit(resource.RLIMIT_CPU)[0]
        limit_now == (limit_open[0] - 3, 1000000)
        """,
    ),
    (
        "signal_handler",
        """
        import signal
        signals_seen = []
        signals_before = signal.signal(signal.SIGUSR1, lambda number, frame: signals_seen.append(number))
        signals_ignored = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        """,
        """
        signal.raise_signal(signal.SIGUSR1), signal.raise_signal(signal.SIGUSR2)
        signals_seen == [signal.SIGUSR1] and signal.getsignal(signal.SIGUSR2) == signal.SIG_IGN
        """,
    ),
    (
        "interval_timer",
        """
        import signal
        itimer_before = signal.signal(signal.SIGALRM, lambda *_: None), signal.setitimer(signal.ITIMER_REAL, 1e6)
        signal.setitimer(signal.ITIMER_VIRTUAL, 1e5, 7)
        """,
        """
        itimer_left, itimer_cpu = signal.setitimer(signal.ITIMER_REAL, 0)[0], signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        0 < itimer_left < 1e6 and 0 < itimer_cpu[0] <= 1e5 and itimer_cpu[1] == 7
        """,
    ),
    (
        "process_identity",
        """
        import os, threading
        process_identity = os.getpid(), os.getppid(), threading.get_native_id(), threading.get_ident(), os.uname()
        """,
        """
        process_identity == (os.getpid(), os.getppid(), threading.get_native_id(), threading.get_ident(), os.uname())
        """,
    ),
    (
        "clocks",
        """
        import time
        clocks = time.CLOCK_MONOTONIC, time.CLOCK_REALTIME, time.CLOCK_PROCESS_CPUTIME_ID, time.CLOCK_THREAD_CPUTIME_ID
        clocks_before = [time.clock_gettime_ns(clock) for clock in clocks]
        """,
        """
        clocks_after = [time.clock_gettime_ns(clock) for clock in clocks]
        all(before <= after < before + 1e15 for before, after in zip(clocks_before, clocks_after))
        """,
    ),
    (
        "standard_streams",
        """
        import io, sys
        stream_saved, stream_kept = sys.stdin, io.StringIO("one\\ntwo\\n")
        sys.stdin = stream_kept
        stream_first = sys.stdin.readline()
        """,
        """
        stream_second = sys.stdin.readline()
        sys.stdin = stream_saved
        (stream_first, stream_second) == ("one\\n", "two\\n")
        """,
    ),
]
