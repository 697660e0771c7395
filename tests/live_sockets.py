"""Sockets with data in them, and servers: see :mod:`live_things`."""

from __future__ import annotations

SOCKETS: list[tuple[str, str, str]] = [
    (
        "socketpair",
        """
        import socket
        pair_left, pair_right = socket.socketpair()
        pair_left.sendall(b"queued")
        pair_right.settimeout(60)
        """,
        """
        pair_left.sendall(b" later")
        pair_right.recv(12, socket.MSG_WAITALL) == b"queued later" and pair_right.gettimeout() == 60
        """,
    ),
    (
        "tcp",
        """
        import socket
        tcp_listener = socket.create_server(("127.0.0.1", 0))
        tcp_client = socket.create_connection(tcp_listener.getsockname(), 60)
        tcp_server, _ = tcp_listener.accept()
        tcp_client.sendall(b"a" * 20000)
        tcp_names = tcp_client.getsockname(), tcp_client.getpeername()
        """,
        """
        tcp_client.sendall(b"b")
        tcp_received = tcp_server.recv(20001, socket.MSG_WAITALL)
        tcp_server.sendall(b"back")
        (tcp_received, tcp_client.recv(4)) == (b"a" * 20000 + b"b", b"back") and tcp_names == (
            tcp_server.getpeername(), tcp_listener.getsockname()
        )
        """,
    ),
    (
        "tcp_half_closed",
        """
        import socket
        half_listener = socket.create_server(("127.0.0.1", 0))
        half_client = socket.create_connection(half_listener.getsockname(), 60)
        half_server, _ = half_listener.accept()
        half_client.sendall(b"last words")
        half_client.shutdown(socket.SHUT_WR)
        """,
        """
        half_server.sendall(b"heard")
        half_read = half_server.recv(10, socket.MSG_WAITALL), half_server.recv(1), half_client.recv(5)
        half_read == (b"last words", b"", b"heard")
        """,
    ),
    (
        "tcp_backlog",
        """
        import socket
        backlog_listener = socket.create_server(("127.0.0.1", 0), backlog=5)
        backlog_clients = [socket.create_connection(backlog_listener.getsockname(), 60) for _ in range(3)]
        for backlog_number, backlog_client in enumerate(backlog_clients):
            backlog_client.sendall(b"%d" % backlog_number)
        """,
        """
        backlog_accepted = [backlog_listener.accept()[0] for _ in range(3)]
        sorted(each.recv(1) for each in backlog_accepted) == [b"0", b"1", b"2"]
        """,
    ),
    (
        "tcp_accepting_thread",
        """
        import socket, threading
        accepting = socket.create_server(("127.0.0.1", 0))
        accepting_seen = []
        def accepting_work():
            connection, _ = accepting.accept()
            accepting_seen.append(connection.recv(5))
            connection.sendall(b"ok")
        accepting_thread = threading.Thread(target=accepting_work)
        accepting_thread.start()
        """,
        """
        accepting_client = socket.create_connection(accepting.getsockname(), 60)
        accepting_client.sendall(b"hello")
        accepting_answer = accepting_client.recv(2)
        accepting_thread.join(60)
        (accepting_seen, accepting_answer) == ([b"hello"], b"ok")
        """,
    ),
    (
        "udp",
        """
        import socket
        udp_receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp_receiver.bind(("127.0.0.1", 0))
        udp_receiver.settimeout(60)
        udp_sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp_sender.connect(udp_receiver.getsockname())
        udp_sender.send(b"one"), udp_sender.send(b"two")
        """,
        """
        udp_sender.send(b"three")
        [udp_receiver.recv(100) for _ in range(3)] == [b"one", b"two", b"three"]
        """,
    ),
    (
        "unix_stream",
        """
        import socket, tempfile
        unix_path = tempfile.mkdtemp() + "/socket"
        unix_listener = socket.socket(socket.AF_UNIX)
        unix_listener.bind(unix_path)
        unix_listener.listen()
        unix_client = socket.socket(socket.AF_UNIX)
        unix_client.connect(unix_path)
        unix_client.sendall(b"before")
        """,
        """
        unix_server, _ = unix_listener.accept()
        unix_second = socket.socket(socket.AF_UNIX)
        unix_second.connect(unix_path)
        unix_second.sendall(b"after")
        (unix_server.recv(6), unix_listener.accept()[0].recv(5)) == (b"before", b"after")
        """,
    ),
    (
        "unix_abstract",
        """
        import socket
        abstract_listener = socket.socket(socket.AF_UNIX)
        abstract_listener.bind("\\0live-things-abstract")
        abstract_listener.listen()
        """,
        """
        abstract_client = socket.socket(socket.AF_UNIX)
        abstract_client.connect("\\0live-things-abstract")
        abstract_client.sendall(b"hello")
        abstract_listener.accept()[0].recv(5) == b"hello"
        """,
    ),
    (
        "unix_datagrams",
        """
        import socket
        datagrams_left, datagrams_right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        packets_left, packets_right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for datagrams_each in (datagrams_left, packets_left):
            datagrams_each.send(b"one"), datagrams_each.send(b"two")
        """,
        """
        [each.recv(100) for each in (datagrams_right, packets_right) for _ in range(2)] == [b"one", b"two"] * 2
        """,
    ),
    (
        "descriptor_in_flight",
        """
        import os, socket
        flight_left, flight_right = socket.socketpair()
        flight_from, flight_to = os.pipe()
        socket.send_fds(flight_left, [b"here"], [flight_from])
        os.close(flight_from)
        os.write(flight_to, b"through it")
        """,
        """
        flight_text, flight_descriptors, _, _ = socket.recv_fds(flight_right, 4, 1)
        (flight_text, os.read(flight_descriptors[0], 10)) == (b"here", b"through it")
        """,
    ),
    (
        "socket_makefile",
        """
        import socket
        buffered_left, buffered_right = socket.socketpair()
        buffered_left.sendall(b"one\\ntwo\\nthr")
        buffered_reader = buffered_right.makefile("r", encoding="utf-8")
        buffered_first = buffered_reader.readline()
        """,
        """
        buffered_left.sendall(b"ee\\n")
        [buffered_first] + [buffered_reader.readline() for _ in range(2)] == ["one\\n", "two\\n", "three\\n"]
        """,
    ),
    (
        "socket_options",
        """
        import socket
        option_socket = socket.socket()
        option_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        option_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        option_socket.setblocking(False)
        """,
        """
        option_values = [
            option_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
            option_socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        ]
        option_values == [1, 1] and not option_socket.getblocking()
        """,
    ),
    (
        "selector",
        """
        import selectors, socket
        selector = selectors.DefaultSelector()
        selector_left, selector_right = socket.socketpair()
        selector.register(selector_right, selectors.EVENT_READ, data="right")
        selector_before = selector.select(0)
        """,
        """
        selector_left.send(b"x")
        selector_after = [(key.data, events) for key, events in selector.select(60)]
        (selector_before, selector_after) == ([], [("right", selectors.EVENT_READ)])
        """,
    ),
    (
        "tls_handshake",
        """
        import ssl
        tls_in, tls_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = ssl.create_default_context().wrap_bio(tls_in, tls_out, server_hostname="example.org")
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            tls_waits = True
        """,
        """
        tls_hello = tls_out.read()
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            tls_waits_again = True
        tls_waits and tls_waits_again and b"example.org" in tls_hello and tls.version() is None
        """,
    ),
    (
        "connection_listener",
        """
        import multiprocessing.connection, tempfile
        connections = multiprocessing.connection.Listener(tempfile.mkdtemp() + "/listener", "AF_UNIX")
        connection_client = multiprocessing.connection.Client(connections.address)
        connection_client.send({"sent": "before"})
        """,
        """
        connection_server = connections.accept()
        connection_got = connection_server.recv()
        connection_server.send(connection_got["sent"] + " and after")
        connection_client.recv() == "before and after"
        """,
    ),
    (
        "http_server",
        """
        import http.client, http.server, threading
        class HttpHandler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_GET(self):
                self.server.hits += 1
                body = f"{self.server.hits} {self.path} {self.client_address[1]}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *_):
                pass
        http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HttpHandler)
        http_server.hits = 0
        http_thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.05})
        http_thread.start()
        http_client = http.client.HTTPConnection("127.0.0.1", http_server.server_port, timeout=60)
        http_client.request("GET", "/a")
        http_first = http_client.getresponse().read().decode().split()
        """,
        """
        http_client.request("GET", "/b")
        http_second = http_client.getresponse().read().decode().split()
        http_client.close()
        http_server.shutdown()
        http_thread.join(60)
        # The same connection, so the same port of ours.
        (http_first[:2], http_second[:2], http_first[2] == http_second[2]) == (["1", "/a"], ["2", "/b"], True)
        """,
    ),
    (
        "asyncio_streams",
        """
        import asyncio
        async def streams_serve(reader, writer):
            while line := await reader.readline():
                writer.write(line.upper())
        streams_server = await asyncio.start_server(streams_serve, "127.0.0.1", 0)
        streams_port = streams_server.sockets[0].getsockname()[1]
        streams_reader, streams_writer = await asyncio.open_connection("127.0.0.1", streams_port)
        streams_writer.write(b"one\\n")
        streams_first = await streams_reader.readline()
        """,
        """
        streams_writer.write(b"two\\n")
        streams_second = await asyncio.wait_for(streams_reader.readline(), 60)
        streams_writer.close()
        streams_server.close()
        (streams_first, streams_second) == (b"ONE\\n", b"TWO\\n")
        """,
    ),
]
