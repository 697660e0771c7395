"""Pipes, mappings, locks and the descriptors that only Linux has: see :mod:`live_things`."""

from __future__ import annotations

DESCRIPTORS: list[tuple[str, str, str]] = [
    (
        "mapped_memory",
        """
        import mmap
        mapped = mmap.mmap(-1, 1 << 16, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        mapped[1000:1005] = b"hello"
        mapped.seek(1000)
        """,
        """
        (mapped.read(5), mapped.find(b"hello", 0), len(mapped)) == (b"hello", 1000, 1 << 16)
        """,
    ),
    (
        "mapped_file",
        """
        import mmap, tempfile
        mapped_path = tempfile.mkdtemp() + "/mapped"
        open(mapped_path, "wb").write(b"." * 8192)
        with open(mapped_path, "r+b") as mapped_source:
            mapped_file = mmap.mmap(mapped_source.fileno(), 0)
            mapped_copy = mmap.mmap(mapped_source.fileno(), 0, access=mmap.ACCESS_COPY)
        mapped_file[5000], mapped_copy[5000] = ord("f"), ord("c")
        """,
        """
        mapped_file[5001] = ord("F")
        mapped_copy[5000:5001] == b"c" and open(mapped_path, "rb").read()[4999:5003] == b".fF."
        """,
    ),
    (
        "memfd",
        """
        import os
        memfd = os.memfd_create("live")
        os.write(memfd, b"in memory")
        os.lseek(memfd, 3, os.SEEK_SET)
        """,
        """
        os.read(memfd, 100) == b"memory" and "live" in os.readlink(f"/proc/self/fd/{memfd}")
        """,
    ),
    (
        "pipe",
        """
        import os
        pipe_from, pipe_to = os.pipe()
        os.set_blocking(pipe_to, False)
        pipe_bytes = 0
        try:
            while True:
                pipe_bytes += os.write(pipe_to, b"x" * 4096)
        except BlockingIOError:
            pass
        """,
        """
        try:
            pipe_full = os.write(pipe_to, b"y")
        except BlockingIOError:
            pipe_full = True
        pipe_left = pipe_bytes
        while pipe_left:
            pipe_left -= len(os.read(pipe_from, min(pipe_left, 65536)))
        os.write(pipe_to, b"z")
        pipe_full is True and os.read(pipe_from, 10) == b"z"
        """,
    ),
    (
        "fifo",
        """
        import os, tempfile
        fifo_path = os.path.join(tempfile.mkdtemp(dir=os.path.expanduser("~")), "fifo")
        os.mkfifo(fifo_path)
        fifo = os.open(fifo_path, os.O_RDWR)
        os.write(fifo, b"before ")
        """,
        """
        with open(fifo_path, "wb") as fifo_writer:
            fifo_writer.write(b"after")
        os.read(fifo, 12) == b"before after"
        """,
    ),
    (
        "eventfd",
        """
        import ctypes, os
        eventfd = ctypes.CDLL(None).eventfd(3, 0)
        os.write(eventfd, (4).to_bytes(8, "little"))
        """,
        """
        int.from_bytes(os.read(eventfd, 8), "little") == 7
        """,
    ),
    (
        "epoll",
        """
        import os, select
        epoll, (epoll_from, epoll_to) = select.epoll(), os.pipe()
        epoll.register(epoll_from, select.EPOLLIN | select.EPOLLET)
        os.write(epoll_to, b"1")
        epoll_first = epoll.poll(60)
        """,
        """
        os.write(epoll_to, b"2")
        epoll_first == epoll.poll(60) == [(epoll_from, select.EPOLLIN)] and os.read(epoll_from, 2) == b"12"
        """,
    ),
    (
        "signalfd",
        """
        import ctypes, os, signal, threading
        signalfd_number = signal.SIGRTMIN + 5
        signal.pthread_sigmask(signal.SIG_BLOCK, [signalfd_number])
        signalfd = ctypes.CDLL(None).signalfd(-1, ctypes.byref(ctypes.c_uint64(1 << (signalfd_number - 1))), 0)
        signal.pthread_kill(threading.get_ident(), signalfd_number)
        """,
        """
        signalfd_pending = signal.sigpending()
        int.from_bytes(os.read(signalfd, 128)[:4], "little") == signalfd_number and signalfd_number in signalfd_pending
        """,
    ),
    (
        "timerfd",
        """
        import ctypes, os
        timerfd = ctypes.CDLL(None).timerfd_create(1, os.O_NONBLOCK)
        timerfd_set = ctypes.CDLL(None).timerfd_settime(timerfd, 0, (ctypes.c_long * 4)(0, 0, 1000000, 0), None)
        """,
        """
        timerfd_left = (ctypes.c_long * 4)()
        ctypes.CDLL(None).timerfd_gettime(timerfd, timerfd_left)
        try:
            timerfd_expired = os.read(timerfd, 8)
        except BlockingIOError:
            timerfd_expired = None
        timerfd_set == 0 and timerfd_expired is None and 0 < timerfd_left[2] < 1000000
        """,
    ),
    (
        "inotify",
        """
        import ctypes, os, tempfile
        inotify, inotify_folder = ctypes.CDLL(None).inotify_init1(os.O_NONBLOCK), tempfile.mkdtemp()
        inotify_watch = ctypes.CDLL(None).inotify_add_watch(inotify, inotify_folder.encode(), 0x100)  # IN_CREATE
        open(inotify_folder + "/before", "w").close()
        """,
        """
        open(inotify_folder + "/after", "w").close()
        inotify_events = os.read(inotify, 4096)
        inotify_watch > 0 and b"before" in inotify_events and b"after" in inotify_events
        """,
    ),
    (
        "flock",
        """
        import fcntl, tempfile
        flock_path = tempfile.mkdtemp() + "/lock"
        flock_held, flock_other = open(flock_path, "w"), open(flock_path, "w")
        fcntl.flock(flock_held, fcntl.LOCK_EX)
        """,
        """
        flock_tried = []
        for flock_turn in range(2):
            try:
                flock_tried.append(fcntl.flock(flock_other, fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                flock_tried.append("held")
            fcntl.flock(flock_held, fcntl.LOCK_UN)
        flock_tried == ["held", None]
        """,
    ),
    (
        "posix_lock",
        """
        import fcntl, os, tempfile
        posix_lock_file = open(tempfile.mkdtemp() + "/lock", "w")
        fcntl.lockf(posix_lock_file, fcntl.LOCK_EX, 10, 5)
        def posix_lock_free(start):
            child = os.fork()
            if child == 0:
                try:
                    fcntl.lockf(posix_lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, start)
                    os._exit(0)
                finally:
                    os._exit(1)
            return os.waitpid(child, 0)[1] == 0
        """,
        """
        [posix_lock_free(start) for start in (4, 5, 14, 15)] == [True, False, False, True]
        """,
    ),
    (
        "system_v_memory",
        """
        import ctypes
        shm_library = ctypes.CDLL(None)
        shm_library.shmat.restype = ctypes.c_void_p
        shm_id = shm_library.shmget(0, 4096, 0o1600)  # IPC_PRIVATE, IPC_CREAT
        shm_memory = (ctypes.c_char * 4096).from_address(shm_library.shmat(shm_id, None, 0))
        shm_memory[:6] = b"shared"
        """,
        """
        shm_again = (ctypes.c_char * 4096).from_address(shm_library.shmat(shm_id, None, 0))
        shm_again[:6] == b"shared" and ctypes.addressof(shm_again) != ctypes.addressof(shm_memory)
        """,
    ),
    (
        "system_v_messages",
        """
        import ctypes
        message_queue = ctypes.CDLL(None).msgget(0, 0o1600)  # IPC_PRIVATE, IPC_CREAT
        message_sent = ctypes.CDLL(None).msgsnd(message_queue, (1).to_bytes(8, "little") + b"hello", 5, 0)
        message_semaphore = ctypes.CDLL(None).semget(0, 1, 0o1600)
        message_semaphore_set = ctypes.CDLL(None).semctl(message_semaphore, 0, 16, 42)  # SETVAL
        """,
        """
        message_read = ctypes.create_string_buffer(13)
        message_length = ctypes.CDLL(None).msgrcv(message_queue, message_read, 5, 0, 0)
        (message_length, message_read.raw[8:], ctypes.CDLL(None).semctl(message_semaphore, 0, 12)) == (5, b"hello", 42)
        """,
    ),
    (
        "shared_memory",
        """
        import multiprocessing.shared_memory
        shared_block = multiprocessing.shared_memory.SharedMemory(create=True, size=4096)
        shared_block.buf[:5] = b"block"
        """,
        """
        shared_attached = multiprocessing.shared_memory.SharedMemory(shared_block.name)
        shared_bytes = bytes(shared_attached.buf[:5])
        shared_attached.close(), shared_block.close(), shared_block.unlink()
        shared_bytes == b"block"
        """,
    ),
]
