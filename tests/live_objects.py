"""Objects that point into the memory of their process: see :mod:`live_things`."""

from __future__ import annotations

OBJECTS: list[tuple[str, str, str]] = [
    (
        "weak_reference",
        """
        import weakref
        class WeakThing:
            pass
        weak_thing, weak_seen = WeakThing(), []
        weak = weakref.ref(weak_thing, lambda _: weak_seen.append("died"))
        """,
        """
        weak_before = weak() is weak_thing, list(weak_seen)
        del weak_thing
        (weak_before, weak_seen, weak()) == ((True, []), ["died"], None)
        """,
    ),
    (
        "weak_containers",
        """
        import weakref
        class WeakKey:
            pass
        weak_keys = [WeakKey() for _ in range(3)]
        weak_values, weak_dict = weakref.WeakValueDictionary(enumerate(weak_keys)), weakref.WeakKeyDictionary()
        weak_set, weak_dict[weak_keys[0]] = weakref.WeakSet(weak_keys), "first"
        """,
        """
        weak_dict_before = weak_dict[weak_keys[0]]
        del weak_keys[0]
        (weak_dict_before, sorted(weak_values), len(weak_dict), len(weak_set)) == ("first", [1, 2], 0, 2)
        """,
    ),
    (
        "finalizer",
        """
        import weakref
        class Finalized:
            def __del__(self):
                finalizer_seen.append("del")
        finalizer_seen, finalized = [], Finalized()
        finalizer = weakref.finalize(finalized, finalizer_seen.append, "finalize")
        """,
        """
        finalizer_before = list(finalizer_seen), finalizer.alive
        del finalized
        (finalizer_before, sorted(finalizer_seen)) == (([], True), ["del", "finalize"])
        """,
    ),
    (
        "bound_to_weak_method",
        """
        import weakref
        class WeakListener:
            heard = ()
            def hear(self, word):
                self.heard += (word,)
        weak_listener = WeakListener()
        weak_listeners = [weakref.WeakMethod(weak_listener.hear), weakref.proxy(weak_listener).hear]
        """,
        """
        weak_listeners[0]()("a"), weak_listeners[1]("b")
        weak_listener.heard == ("a", "b")
        """,
    ),
    (
        "context_variable",
        """
        import contextvars
        variable = contextvars.ContextVar("variable", default="default")
        variable_token = variable.set("set")
        variable_context = contextvars.copy_context()
        variable_context.run(variable.set, "inner")
        """,
        """
        variable_before = variable.get(), variable_context[variable]
        variable.reset(variable_token)
        (variable_before, variable.get()) == (("set", "inner"), "default")
        """,
    ),
    (
        "frame",
        """
        import sys
        def frame_make(argument):
            local = argument * 2
            return sys._getframe()
        frame = frame_make(21)
        """,
        """
        (frame.f_code.co_name, dict(frame.f_locals)) == ("frame_make", {"argument": 21, "local": 42})
        """,
    ),
    (
        "traceback",
        """
        def traceback_inner(number):
            return 1 / number
        def traceback_outer():
            try:
                traceback_inner(0)
            except ZeroDivisionError as cause:
                raise KeyError("key") from cause
        try:
            traceback_outer()
        except KeyError as error:
            traceback_error = error
        """,
        """
        import traceback
        traceback_names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(traceback_error.__cause__.__traceback__)]
        traceback_inside = traceback_error.__cause__.__traceback__.tb_next.tb_frame.f_locals
        (traceback_names, traceback_inside) == (["traceback_outer", "traceback_inner"], {"number": 0})
        """,
    ),
    (
        "closure_cell",
        """
        def closure_make():
            count = 0
            def up():
                nonlocal count
                count += 1
                return count
            return up, lambda: count
        closure_up, closure_look = closure_make()
        closure_up()
        """,
        """
        closure_up()
        (closure_look(), closure_up.__closure__[0] is closure_look.__closure__[0]) == (2, True)
        """,
    ),
    (
        "cached_function",
        """
        import functools
        cached_calls = []
        @functools.lru_cache(maxsize=None)
        def cached(number):
            cached_calls.append(number)
            return object()
        cached_object = cached(1)
        """,
        """
        cached(1) is cached_object and cached_calls == [1] and cached.cache_info().hits == 1
        """,
    ),
    (
        "deep_cache",
        """
        import functools
        @functools.cache
        def deep_sum(number):
            return number + deep_sum(number - 1) if number else 0
        for deep_number in range(0, 5000, 100):
            deep_sum(deep_number)
        """,
        """
        deep_sum(4999) == 4999 * 5000 // 2  # Too deep for a cache that is cold.
        """,
    ),
    (
        "identity",
        """
        identity_object = object()
        identity_numbers = id(identity_object), id(identity_object.__class__), id(print), hash(identity_object)
        identity_set = {object(): number for number in range(50)}
        identity_order = list(identity_set.values()), [id(key) for key in identity_set]
        """,
        """
        identity_now = id(identity_object), id(identity_object.__class__), id(print), hash(identity_object)
        identity_numbers == identity_now and identity_order[1] == [id(key) for key in identity_set]
        """,
    ),
    (
        "random_state",
        """
        import random
        random_own = random.Random(3)
        random_expected = random.Random(3)
        random_own.gauss(0, 1), [random_expected.gauss(0, 1)]
        random_next = random_expected.gauss(0, 1)
        """,
        """
        random_own.gauss(0, 1) == random_next
        """,
    ),
    (
        "imported_then_deleted",
        """
        import importlib, os, sys, tempfile
        vanished_folder = tempfile.mkdtemp()
        with open(vanished_folder + "/live_vanished.py", "w") as vanished_file:
            vanished_file.write("calls = []\\ndef call():\\n    calls.append(len(calls))\\n    return calls\\n")
        sys.path.insert(0, vanished_folder)
        import live_vanished
        sys.path.remove(vanished_folder)
        live_vanished.call()
        os.unlink(vanished_folder + "/live_vanished.py")
        """,
        """
        import live_vanished as vanished_again
        vanished_again is live_vanished and live_vanished.call() == [0, 1]
        """,
    ),
    (
        "module_made_here",
        """
        import sys, types
        made_module = types.ModuleType("live_made")
        exec("def function(): return value", made_module.__dict__)
        made_module.value = "of the module"
        sys.modules["live_made"] = made_module
        """,
        """
        from live_made import function as made_function
        made_module.value += ", changed"
        made_function() == "of the module, changed"
        """,
    ),
    (
        "ctypes_pointer",
        """
        import ctypes
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.POINTER(ctypes.c_int)
        pointer = libc.malloc(400)
        for pointer_index in range(100):
            pointer[pointer_index] = pointer_index
        pointer_middle = ctypes.cast(ctypes.addressof(pointer.contents) + 200, ctypes.POINTER(ctypes.c_int))
        """,
        """
        pointer_middle[0] = 1000
        (pointer_middle[1], pointer[50], sum(pointer[:3])) == (51, 1000, 3)
        """,
    ),
    (
        "ctypes_callback",
        """
        import ctypes
        callback_calls = []
        @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
        def callback(left, right):
            callback_calls.append((left[0], right[0]))
            return left[0] - right[0]
        callback_address = ctypes.cast(callback, ctypes.c_void_p).value
        """,
        """
        callback_numbers = (ctypes.c_int * 4)(3, 1, 4, 2)
        ctypes.CDLL(None).qsort(callback_numbers, 4, 4, ctypes.c_void_p(callback_address))
        list(callback_numbers) == [1, 2, 3, 4] and len(callback_calls) >= 3
        """,
    ),
    (
        "exported_buffer",
        """
        exported = bytearray(b"0123456789")
        exported_view = memoryview(exported)[2:8:2]
        """,
        """
        exported_view[0] = ord("X")
        try:
            exported.append(0)
        except BufferError:
            exported_locked = True
        (exported_view.tobytes(), exported, exported_locked) == (b"X46", b"01X3456789", True)
        """,
    ),
    (
        "deep_structure",
        """
        deep_list = []
        for deep_level in range(100000):
            deep_list = [deep_list]
        """,
        """
        deep_count, deep_walk = 0, deep_list
        while deep_walk:
            deep_count, deep_walk = deep_count + 1, deep_walk[0]
        deep_count == 100000
        """,
    ),
    (
        "class_redefined",
        """
        class Redefined:
            __slots__ = ("value", "__weakref__")
            def __init__(self, value):
                self.value = value
            def tell(self):
                return __class__, self.value
        redefined_old, redefined_old_class = Redefined("old"), Redefined
        """,
        """
        class Redefined(redefined_old_class):
            def tell(self):
                return "new", super().tell()
        redefined_old.tell() == (redefined_old_class, "old") and Redefined("new").tell()[1] == (redefined_old_class, "new")
        """,
    ),
    (
        "big_memory",
        """
        import hashlib, os
        big_memory = bytearray(os.urandom(1 << 20)) * 16
        big_digest = hashlib.sha256(big_memory).digest()
        """,
        """
        hashlib.sha256(big_memory).digest() == big_digest
        """,
    ),
]
