"""Child processes, alive, stopped or dead, and what lies between them and us: see :mod:`live_things`."""

from __future__ import annotations

# Nothing here waits for the end of a pipe: what other entries fork holds the writing ends of all of them too.
PROCESSES: list[tuple[str, str, str]] = [
    (
        "popen",
        """
        import subprocess, sys
        popen_code = (
            "import sys, itertools\\n"
            "for turn in itertools.count():\\n"
            "    line = sys.stdin.readline()\\n"
            "    print(turn, line.strip().upper(), flush=True)\\n"
        )
        popen = subprocess.Popen([sys.executable, "-c", popen_code], stdin=-1, stdout=-1, text=True)
        print("first", file=popen.stdin, flush=True)
        popen_first = popen.stdout.readline()
        """,
        """
        popen_alive = popen.poll()
        print("second", file=popen.stdin, flush=True)
        popen_second = popen.stdout.readline()
        popen.terminate()
        (popen_alive, popen_first, popen_second, popen.wait(60)) == (None, "0 FIRST\\n", "1 SECOND\\n", -15)
        """,
    ),
    (
        "popen_unread",
        """
        import subprocess, sys
        unread_code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
        unread = subprocess.Popen([sys.executable, "-c", unread_code], stdout=-1, stderr=-1)
        unread_status = unread.wait()
        """,
        """
        (unread.stdout.readline(), unread.stderr.readline(), unread.returncode) == (b"out\\n", b"err\\n", 3)
        """,
    ),
    (
        "zombie",
        """
        import os
        zombie = os.fork()
        if zombie == 0:
            os._exit(7)
        zombie_seen = os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT).si_status
        """,
        """
        zombie_pid, zombie_status = os.waitpid(zombie, os.WNOHANG)
        (zombie_seen, zombie_pid == zombie, os.WEXITSTATUS(zombie_status)) == (7, True, 7)
        """,
    ),
    (
        "stopped_child",
        """
        import os, signal
        stopped_from, stopped_to = os.pipe()
        stopped = os.fork()
        if stopped == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            os.write(stopped_to, b"went on")
            os._exit(0)
        stopped_at_first = os.WIFSTOPPED(os.waitpid(stopped, os.WUNTRACED)[1])
        """,
        """
        stopped_still = os.waitpid(stopped, os.WNOHANG)[0] == 0
        os.kill(stopped, signal.SIGCONT)
        stopped_said, stopped_status = os.read(stopped_from, 7), os.waitpid(stopped, 0)[1]
        (stopped_at_first, stopped_still, stopped_said, stopped_status) == (True, True, b"went on", 0)
        """,
    ),
    (
        "forked_child",
        """
        import os
        forked_numbers = list(range(1000))
        forked_ask, forked_told, forked_answer, forked_answered = *os.pipe()[::-1], *os.pipe()
        forked = os.fork()
        if forked == 0:
            while True:
                forked_numbers.append(os.read(forked_told, 1)[0])
                os.write(forked_answered, b"%8d" % sum(forked_numbers))
        os.write(forked_ask, b"\\x01")
        forked_first = int(os.read(forked_answer, 8))
        """,
        """
        os.write(forked_ask, b"\\x02")
        forked_second = int(os.read(forked_answer, 8))
        os.kill(forked, 9), os.waitpid(forked, 0)
        (forked_first, forked_second, len(forked_numbers)) == (499501, 499503, 1000)
        """,
    ),
    (
        "orphan",
        """
        import os
        orphan_ask, orphan_told, orphan_answer, orphan_answered = *os.pipe()[::-1], *os.pipe()
        orphan_parent = os.fork()
        if orphan_parent == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(orphan_answered, b"%8d" % os.getpid() + os.read(orphan_told, 4))
            os._exit(0)
        orphan_ended = os.waitpid(orphan_parent, 0)
        """,
        """
        os.write(orphan_ask, b"ping")
        orphan_said = b""
        while len(orphan_said) < 12:
            orphan_said += os.read(orphan_answer, 12)
        orphan_said[8:] == b"ping" and int(orphan_said[:8]) > orphan_parent
        """,
    ),
    (
        "process_group",
        """
        import os, signal, subprocess, sys
        group_code = "import os; child = os.fork(); print(os.getpid(), flush=True); os.read(0, 1)"
        group = subprocess.Popen([sys.executable, "-c", group_code], stdin=-1, stdout=-1, start_new_session=True)
        group_pids = [int(group.stdout.readline()) for _ in range(2)]
        """,
        """
        group_of = {os.getpgid(pid) for pid in group_pids} == {group.pid}
        os.killpg(group.pid, signal.SIGKILL)
        group_of and group.wait(60) == -9
        """,
    ),
    (
        "child_in_deleted_folder",
        """
        import os, subprocess, sys, tempfile
        deleted_folder = tempfile.mkdtemp()
        deleted_code = (
            "import os; os.rmdir(os.getcwd()); print('gone', flush=True); input()\\n"
            "try: print(os.getcwd(), flush=True)\\n"
            "except FileNotFoundError: print('still gone', flush=True)\\n"
        )
        deleted = subprocess.Popen([sys.executable, "-c", deleted_code], cwd=deleted_folder, stdin=-1, stdout=-1, text=True)
        deleted_first = deleted.stdout.readline()
        """,
        """
        print(file=deleted.stdin, flush=True)
        (deleted_first, deleted.stdout.readline(), deleted.wait(60)) == ("gone\\n", "still gone\\n", 0)
        """,
    ),
    (
        "exit_handler",
        """
        import subprocess, sys
        exit_code = "import atexit; atexit.register(print, 'at exit'); print('up', flush=True); input()"
        exiting = subprocess.Popen([sys.executable, "-c", exit_code], stdin=-1, stdout=-1, text=True)
        exiting_first = exiting.stdout.readline()
        """,
        """
        print(file=exiting.stdin, flush=True)
        (exiting_first, exiting.stdout.readline(), exiting.wait(60)) == ("up\\n", "at exit\\n", 0)
        """,
    ),
    (
        "pidfd",
        """
        import os, select, subprocess, sys
        pidfd_child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
        pidfd = os.pidfd_open(pidfd_child.pid)
        """,
        """
        import signal
        pidfd_poll = select.poll()
        pidfd_poll.register(pidfd, select.POLLIN)
        pidfd_before = pidfd_poll.poll(0)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        pidfd_before == [] and pidfd_poll.poll(60000) != [] and pidfd_child.wait(60) == -9
        """,
    ),
    (
        "pty",
        """
        import os, pty, subprocess, sys
        pty_master, pty_slave = pty.openpty()
        pty_code = "import os; name = input('name? '); print('hello', name, os.isatty(0))"
        pty_child = subprocess.Popen([sys.executable, "-c", pty_code], stdin=pty_slave, stdout=pty_slave, stderr=pty_slave)
        pty_asked = b""
        while not pty_asked.endswith(b"name? "):
            pty_asked += os.read(pty_master, 100)
        """,
        """
        os.write(pty_master, b"you\\n")
        pty_answered = b""
        while not pty_answered.endswith(b"True\\r\\n"):
            pty_answered += os.read(pty_master, 100)
        pty_answered == b"you\\r\\nhello you True\\r\\n" and pty_child.wait(60) == 0
        """,
    ),
    (
        "pty_fork",
        """
        import os, pty
        terminal_pid, terminal = pty.fork()
        if terminal_pid == 0:
            terminal_line = os.read(0, 100)
            os.write(1, terminal_line.upper())
            os.read(0, 1)
            os._exit(0)
        """,
        """
        os.write(terminal, b"abc\\n")
        terminal_said = b""
        while not terminal_said.endswith(b"ABC\\r\\n"):
            terminal_said += os.read(terminal, 100)
        os.kill(terminal_pid, 9), os.waitpid(terminal_pid, 0)
        terminal_said == b"abc\\r\\nABC\\r\\n"
        """,
    ),
    (
        "multiprocessing_pool",
        """
        import multiprocessing, os
        mp_context = multiprocessing.get_context("fork")
        def mp_square(number):
            return number * number, os.getpid()
        mp_pool = mp_context.Pool(1)
        mp_first = mp_pool.apply(mp_square, (3,))
        """,
        """
        mp_second = mp_pool.map(mp_square, [4, 5])
        mp_pool.terminate()
        mp_pool.join()
        [mp_first[0], *(value for value, _ in mp_second)] == [9, 16, 25] and mp_second[0][1] == mp_first[1]
        """,
    ),
    (
        "process_pool",
        """
        import concurrent.futures, multiprocessing
        executor_context = multiprocessing.get_context("fork")
        executor_go = executor_context.Event()
        def executor_work(number):
            executor_go.wait()
            return number + 1
        process_pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=executor_context)
        process_jobs = [process_pool.submit(executor_work, number) for number in range(3)]
        """,
        """
        process_before = [job.done() for job in process_jobs]
        executor_go.set()
        process_after = [job.result(60) for job in process_jobs]
        process_pool.shutdown()
        (process_before, process_after) == ([False] * 3, [1, 2, 3])
        """,
    ),
    (
        "multiprocessing_queue",
        """
        import multiprocessing
        mp_queue_context = multiprocessing.get_context("fork")
        mp_requests, mp_replies = mp_queue_context.Queue(), mp_queue_context.Queue()
        mp_total, mp_lock = mp_queue_context.Value("i", 5), mp_queue_context.Lock()
        def mp_serve():
            for request in iter(mp_requests.get, None):
                with mp_lock, mp_total.get_lock():
                    mp_total.value += request
                mp_replies.put(mp_total.value)
        mp_lock.acquire()
        mp_server = mp_queue_context.Process(target=mp_serve, daemon=True)
        mp_server.start()
        mp_requests.put(1)
        """,
        """
        mp_requests.put(2)
        mp_lock.release()
        mp_answers = [mp_replies.get(timeout=60) for _ in range(2)]
        mp_requests.put(None)
        mp_server.join(60)
        (mp_answers, mp_total.value, mp_server.exitcode) == ([6, 8], 8, 0)
        """,
    ),
    (
        "multiprocessing_pipe",
        """
        import multiprocessing
        mp_ours, mp_theirs = multiprocessing.get_context("fork").Pipe()
        def mp_echo():
            mp_theirs.send({"echo": mp_theirs.recv()})
        mp_echoing = multiprocessing.get_context("fork").Process(target=mp_echo)
        mp_echoing.start()
        """,
        """
        mp_ours.send([1, None])
        mp_echoed = mp_ours.recv()
        mp_echoing.join(60)
        mp_echoed == {"echo": [1, None]} and mp_echoing.exitcode == 0
        """,
    ),
    (
        "multiprocessing_manager",
        """
        import multiprocessing
        manager_server = multiprocessing.get_context("fork").Manager()
        managed = manager_server.dict(a=1)
        """,
        """
        managed["b"] = manager_server.list([2])
        managed["b"].append(3)
        manager_result = managed["a"], list(managed["b"])
        manager_server.shutdown()
        manager_result == (1, [2, 3])
        """,
    ),
    (
        "asyncio_subprocess",
        """
        import asyncio, sys
        async_child_code = "while True: print(input() * 2, flush=True)"
        async_child = await asyncio.create_subprocess_exec(sys.executable, "-c", async_child_code, stdin=-1, stdout=-1)
        async_child.stdin.write(b"ab\\n")
        async_child_first = await async_child.stdout.readline()
        """,
        """
        async_child.stdin.write(b"cd\\n")
        async_child_second = await asyncio.wait_for(async_child.stdout.readline(), 60)
        async_child.kill()
        async_child_status = await asyncio.wait_for(async_child.wait(), 60)
        (async_child_first, async_child_second, async_child_status) == (b"abab\\n", b"cdcd\\n", -9)
        """,
    ),
    (
        "shared_between_processes",
        """
        import mmap, os
        between = mmap.mmap(-1, 4096)
        between[:5] = b"start"
        between_from, between_to = os.pipe()
        between_pid = os.fork()
        if between_pid == 0:
            os.read(between_from, 1)
            between[:5] = between[:5].upper()
            os._exit(0)
        """,
        """
        between_before = between[:5]
        os.write(between_to, b"x")
        (between_before, os.waitpid(between_pid, 0)[1], between[:5]) == (b"start", 0, b"START")
        """,
    ),
]
