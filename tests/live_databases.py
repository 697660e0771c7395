"""Databases, archives and logs that are being written: see :mod:`live_things`."""

from __future__ import annotations

DATABASES: list[tuple[str, str, str]] = [
    (
        "log_file",
        """
        import logging, logging.handlers, tempfile
        log_path = tempfile.mkdtemp() + "/log"
        logger = logging.getLogger("live.logger")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        log_file_handler = logging.FileHandler(log_path)
        log_memory = logging.handlers.MemoryHandler(100, target=log_file_handler)
        logger.addHandler(log_memory)
        logger.info("first")
        """,
        """
        log_before = open(log_path).read()
        logging.getLogger("live.logger").info("second")
        log_memory.flush()
        (log_before, open(log_path).read()) == ("", "first\\nsecond\\n")
        """,
    ),
    (
        "sqlite_memory",
        """
        import sqlite3
        database = sqlite3.connect(":memory:")
        database.create_function("twice", 1, lambda value: value * 2)
        database.execute("create table numbers (value)")
        database.executemany("insert into numbers values (?)", [(number,) for number in range(10)])
        database_cursor = database.execute("select twice(value) from numbers order by value")
        database_begun = database_cursor.fetchmany(3)
        """,
        """
        database_begun + database_cursor.fetchall() == [(number * 2,) for number in range(10)] and database.in_transaction
        """,
    ),
    (
        "sqlite_file",
        """
        import sqlite3, tempfile
        ledger_path = tempfile.mkdtemp() + "/ledger.db"
        ledger, ledger_reader = sqlite3.connect(ledger_path), sqlite3.connect(ledger_path, timeout=0)
        ledger.execute("create table entries (amount)")
        ledger.commit()
        ledger.execute("insert into entries values (5)")
        """,
        """
        ledger_outside = ledger_reader.execute("select count(*) from entries").fetchone()
        try:
            ledger_reader.execute("insert into entries values (6)")
        except sqlite3.OperationalError as error:
            ledger_error = str(error)
        ledger.commit()
        ledger_after = ledger_reader.execute("select amount from entries").fetchall()
        (ledger_outside, ledger_error, ledger_after) == ((0,), "database is locked", [(5,)])
        """,
    ),
    (
        "sqlite_wal",
        """
        import sqlite3, tempfile
        wal_path = tempfile.mkdtemp() + "/wal.db"
        wal_writer = sqlite3.connect(wal_path, isolation_level=None)
        wal_mode = wal_writer.execute("pragma journal_mode = wal").fetchone()
        wal_writer.execute("create table entries (amount)")
        wal_reader = sqlite3.connect(wal_path, isolation_level=None)
        wal_reader.execute("begin")
        wal_before = wal_reader.execute("select count(*) from entries").fetchone()
        wal_writer.execute("insert into entries values (1)")
        """,
        """
        wal_inside = wal_reader.execute("select count(*) from entries").fetchone()
        wal_reader.execute("commit")
        wal_after = wal_reader.execute("select count(*) from entries").fetchone()
        (wal_mode, wal_before, wal_inside, wal_after) == (("wal",), (0,), (0,), (1,))
        """,
    ),
    (
        "shelf",
        """
        import dbm.dumb, shelve, tempfile
        shelf = shelve.Shelf(dbm.dumb.open(tempfile.mkdtemp() + "/shelf"), writeback=True)
        shelf["list"] = [1]
        shelf["list"].append(2)
        """,
        """
        shelf["list"].append(3)
        shelf.sync()
        shelf.cache.clear()
        shelf["list"] == [1, 2, 3]
        """,
    ),
    (
        "zip_being_written",
        """
        import tempfile, zipfile
        zip_path = tempfile.mkdtemp() + "/archive.zip"
        zip_writer = zipfile.ZipFile(zip_path, "w", zipfile.ZIP_DEFLATED)
        zip_writer.writestr("first", "1" * 1000)
        zip_member = zip_writer.open("second", "w")
        zip_member.write(b"2" * 500)
        """,
        """
        zip_member.write(b"3" * 500)
        zip_member.close(), zip_writer.close()
        with zipfile.ZipFile(zip_path) as zip_reader:
            zip_read = zip_reader.testzip(), zip_reader.namelist(), zip_reader.read("second")
        zip_read == (None, ["first", "second"], b"2" * 500 + b"3" * 500)
        """,
    ),
    (
        "tar_stream",
        """
        import io, tarfile, tempfile
        tar_path = tempfile.mkdtemp() + "/archive.tar.gz"
        tar_writer = tarfile.open(tar_path, "w:gz")
        def tar_add(name, data):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar_writer.addfile(member, io.BytesIO(data))
        tar_add("first", b"one")
        """,
        """
        tar_add("second", b"two")
        tar_writer.close()
        with tarfile.open(tar_path, "r|gz") as tar_reader:
            tar_read = [(member.name, tar_reader.extractfile(member).read()) for member in tar_reader]
        tar_read == [("first", b"one"), ("second", b"two")]
        """,
    ),
    (
        "xml_writer",
        """
        import io, xml.sax.saxutils
        xml_text = io.StringIO()
        xml_writer = xml.sax.saxutils.XMLGenerator(xml_text, short_empty_elements=True)
        xml_writer.startElement("a", {"b": "<"})
        """,
        """
        xml_writer.characters("&"), xml_writer.endElement("a")
        xml_text.getvalue() == '<a b="&lt;">&amp;</a>'
        """,
    ),
]
