"""Readers, parsers, codecs and digests that have had a part of their input: see :mod:`live_things`."""

from __future__ import annotations

PARSERS: list[tuple[str, str, str]] = [
    (
        "csv_reader",
        """
        import csv, io
        csv_file = io.StringIO('name,note\\na,"one\\ntwo"\\nb,three\\n')
        csv_reader = csv.DictReader(csv_file)
        csv_first = next(csv_reader)
        """,
        """
        (csv_first["note"], next(csv_reader), csv_reader.line_num) == ("one\\ntwo", {"name": "b", "note": "three"}, 4)
        """,
    ),
    (
        "regular_expression",
        """
        import re
        regex_match = re.match(r"(?P<key>\\w+)=(\\d+)", "width=12;height=7")
        regex_matches = re.finditer(r"(\\w)=(\\d)", "a=1 b=2 c=3")
        next(regex_matches)
        """,
        """
        regex_match["key"] == "width" and regex_match.span(2) == (6, 8) and [m[2] for m in regex_matches] == ["2", "3"]
        """,
    ),
    (
        "struct",
        """
        import struct
        struct_format = struct.Struct("<hI")
        struct_parts = struct_format.iter_unpack(b"".join(struct_format.pack(n, n * n) for n in range(3)))
        next(struct_parts)
        """,
        """
        list(struct_parts) == [(1, 1), (2, 4)] and struct_format.size == 6
        """,
    ),
    (
        "hash",
        """
        import hashlib, hmac
        hash_begun = hashlib.sha256(b"first ")
        mac_begun = hmac.new(b"key", b"first ", "sha1")
        """,
        """
        hash_begun.update(b"second"), mac_begun.update(b"second")
        hash_whole, mac_whole = hashlib.sha256(b"first second"), hmac.new(b"key", b"first second", "sha1")
        (hash_begun.digest(), mac_begun.digest()) == (hash_whole.digest(), mac_whole.digest())
        """,
    ),
    (
        "zlib",
        """
        import zlib
        zlib_plain = bytes(range(256)) * 100
        zlib_packed = zlib.compress(zlib_plain)
        zlib_object = zlib.decompressobj()
        zlib_begun = zlib_object.decompress(zlib_packed[:200])
        """,
        """
        zlib_begun + zlib_object.decompress(zlib_packed[200:]) + zlib_object.flush() == zlib_plain and zlib_object.eof
        """,
    ),
    (
        "compressors",
        """
        import bz2, lzma
        compressors = [bz2.BZ2Compressor(), lzma.LZMACompressor()]
        compressed = [each.compress(b"one " * 5000) for each in compressors]
        """,
        """
        compressed = [a + each.compress(b"two") + each.flush() for a, each in zip(compressed, compressors)]
        [bz2.decompress(compressed[0]), lzma.decompress(compressed[1])] == [b"one " * 5000 + b"two"] * 2
        """,
    ),
    (
        "incremental_decoder",
        """
        import codecs
        decoder = codecs.getincrementaldecoder("utf-8")()
        decoded = decoder.decode("a\\u20ac".encode()[:2])
        """,
        """
        decoded + decoder.decode("\\u20ac".encode()[1:], final=True) == "a\\u20ac"
        """,
    ),
    (
        "xml_parser",
        """
        import xml.etree.ElementTree
        xml_parser = xml.etree.ElementTree.XMLPullParser(["start", "end"])
        xml_parser.feed("<list><item>one</item><item>tw")
        xml_seen = [(event, element.tag) for event, element in xml_parser.read_events()]
        """,
        """
        xml_parser.feed("o</item></list>")
        xml_seen += [(event, element.text) for event, element in xml_parser.read_events()]
        len(xml_seen) == 6 and xml_seen[-2:] == [("end", "two"), ("end", None)]
        """,
    ),
    (
        "html_parser",
        """
        import html.parser
        class LinkParser(html.parser.HTMLParser):
            links = ()
            def handle_starttag(self, tag, attributes):
                self.links += (dict(attributes).get("href"),)
        link_parser = LinkParser()
        link_parser.feed("<a href='1'>one</a><a hr")
        """,
        """
        link_parser.feed("ef='2'>")
        link_parser.links == ("1", "2")
        """,
    ),
    (
        "unpickler",
        """
        import io, pickle
        pickle_file = io.BytesIO()
        pickle_shared = ["shared"]
        pickle_writer = pickle.Pickler(pickle_file)
        pickle_writer.dump(pickle_shared)
        """,
        """
        pickle_writer.dump((pickle_shared, pickle_shared))  # The memo still knows it.
        pickle_file.seek(0)
        pickle_reader = pickle.Unpickler(pickle_file)
        pickle_first, pickle_second = pickle_reader.load(), pickle_reader.load()
        pickle_second[0] is pickle_second[1] is pickle_first and pickle_first == ["shared"]
        """,
    ),
    (
        "tokenizer",
        """
        import io, tokenize
        tokens = tokenize.generate_tokens(io.StringIO("a = (1 +\\n  2)\\n").readline)
        tokens_begun = [next(tokens).string for _ in range(3)]
        """,
        """
        tokens_begun + [token.string for token in tokens][:4] == ["a", "=", "(", "1", "+", "\\n", "2"]
        """,
    ),
    (
        "scheduler",
        """
        import sched
        scheduler_now = [0]
        scheduler_seen = []
        scheduler = sched.scheduler(lambda: scheduler_now[0], lambda seconds: scheduler_now.append(seconds))
        for scheduler_delay in (5, 3):
            scheduler.enter(scheduler_delay, 1, scheduler_seen.append, (scheduler_delay,))
        """,
        """
        scheduler_now[0] = 4
        scheduler_wait = scheduler.run(blocking=False)
        (scheduler_seen, scheduler_wait, len(scheduler.queue)) == ([3], 1, 1)
        """,
    ),
]
