"""A source that is run by the server ends as it does in a new interpreter: output, exit status, all that it can see."""

from __future__ import annotations

import os
import re
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warm_support import cold

SOURCES = {
    "nothing": "",
    "output": "import sys; print('out'); print('err', file=sys.stderr)",
    "main": "print(sorted(globals().items(), key=str)); import __main__; print(__main__.__dict__ is globals())",
    "arguments": "import sys; print(sys.argv, sys.orig_argv, sys.executable, sys.flags, sys.path, sys.prefix)",
    "dont_write_bytecode": "import sys; print(sys.dont_write_bytecode, sys.warnoptions, sys._xoptions)",
    "streams": """
        import sys
        for stream in (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__):
            print(stream, stream.encoding, stream.errors, stream.line_buffering, stream.write_through, stream.mode)
            print(stream.newlines, stream.name, stream.buffer, stream.fileno(), stream.isatty(), stream.seekable())
        """,
    "stdin": "import sys; print(repr(sys.stdin.read())); print(repr(sys.stdin.buffer.read()))",
    "stdin_kind": "import os, stat; print([stat.S_ISFIFO(os.fstat(n).st_mode) for n in (0, 1, 2)])",
    "descriptors": "import os; print(os.open('/', os.O_RDONLY)); print(os.pipe())",
    "inheritable": "import os; print([os.get_inheritable(n) for n in (0, 1, 2)])",
    "exit_none": "import sys; sys.exit()",
    "exit_code": "import sys; sys.exit(7)",
    "exit_big": "import sys; sys.exit(256 + 3)",
    "exit_negative": "import sys; sys.exit(-1)",
    "exit_true": "import sys; sys.exit(True)",
    "exit_text": "import sys; sys.exit('that is why')",
    "exit_object": "raise SystemExit(['a', 'list'])",
    "os_exit": "import os, sys; print('lost'); os._exit(5)",
    "exception": "def f():\n    raise ValueError('no')\nprint('before')\nf()",
    "exception_chain": "try:\n    {}['a']\nexcept KeyError as e:\n    raise RuntimeError('b') from e",
    "exception_group": "raise ExceptionGroup('two', [ValueError(1), TypeError(2)])",
    "exception_unprintable": "class E(Exception):\n    def __str__(self): return 1 / 0\nraise E()",
    "syntax": "def f(:\n  pass",
    "keyboard_interrupt": "import atexit; atexit.register(print, 'bye'); raise KeyboardInterrupt",
    "recursion": "def f(): f()\ntry:\n    f()\nexcept RecursionError as e:\n    print(e)",
    "excepthook": "import sys\nsys.excepthook = lambda *a: print('hook', a[0], a[1])\nraise ValueError(3)",
    "atexit": "import atexit; atexit.register(print, 1); atexit.register(print, 2); print(0)",
    "atexit_fails": "import atexit, sys; atexit.register(print, 1); atexit.register(lambda: {}['k']); sys.exit(4)",
    "thread": """
        import threading, time
        def work():
            time.sleep(0.2)
            print('worked')
        threading.Thread(target=work).start()
        print('main ends')
        """,
    "daemon_thread": "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "thread_fails": "import threading; t = threading.Thread(target=lambda: 1 / 0, name='t'); t.start(); t.join()",
    "executor": "from concurrent.futures import ThreadPoolExecutor as P; e = P(4); print(list(e.map(abs, [-1, -2])))",
    "threads_seen": "from threading import *; print(enumerate(), current_thread() is main_thread())",
    "finaliser": "class C:\n    def __del__(self): print('gone')\nkept = C()\nprint('end')",
    "finaliser_cycle": "class C:\n    def __del__(self): print('gone')\na = C(); a.a = a; del a; print('end')",
    "temporary": "import tempfile, os; f = tempfile.NamedTemporaryFile(); print(os.path.dirname(f.name))",
    "unflushed": "import sys; sys.stdout.write('no newline'); sys.stderr.write('none here either')",
    "stdout_closed": "import sys; print('a'); sys.stdout.close()",
    "stdout_gone": "import os; print('a'); os.close(1)",
    "stdout_none": "import sys; sys.stdout = None; print('a')",
    "stdout_replaced": "import io, sys; sys.stdout = io.StringIO(); print('a'); sys.__stdout__.write('b')",
    "all_closed": "import os; os.closerange(0, 256)",
    "large_output": "import sys; sys.stdout.write('o' * 3_000_000); sys.stderr.write('e' * 3_000_000)",
    "binary_output": "import sys; sys.stdout.buffer.write(bytes(range(256)))",
    "surrogates": "import sys; print('\\udc80', file=sys.stderr); print('\\udc80')",
    "unicode": "print('äß€😀'); import sys; print('äß€😀', file=sys.stderr)",
    "killed": "import os, signal; print('lost'); os.kill(os.getpid(), signal.SIGKILL)",
    "terminated": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "aborted": "import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.abort()",
    "broken_pipe": """
        import os, sys
        reader, writer = os.pipe(); os.close(reader)
        os.write(writer, b'x')
        """,
    "signals": """
        import signal
        print([(s, signal.getsignal(s)) for s in sorted(signal.valid_signals()) if s != signal.SIGCHLD])
        print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getitimer(signal.ITIMER_REAL))
        """,
    "daemon": """
        import os, time
        if not os.fork():
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            os.dup2(1, 2)
            os._exit(0)
        print(os.wait()[1])
        """,
    "child": "import subprocess; print(subprocess.run('cat; echo $0; exit 3', shell=True, capture_output=True))",
    "grandchild_writes_late": "import subprocess; subprocess.Popen('sleep 0.3; echo late', shell=True); print('early')",
    "multiprocessing": """
        import multiprocessing
        with multiprocessing.get_context('fork').Pool(2) as pool:
            print(pool.map(abs, [-1, -2]))
        """,
    "limits": "import resource; print([resource.getrlimit(n) for n in range(16)])",
    "priority": "import os; print(os.nice(0), os.sched_getaffinity(0), os.getuid(), os.getgroups())",
    "globals_of_python": """
        import gc, locale, os, sys, tempfile, threading, time
        print(gc.isenabled(), gc.get_threshold(), sys.getrecursionlimit(), sys.getswitchinterval())
        print(locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(), sys.getfilesystemencoding())
        print(time.tzname, tempfile.gettempdir(), threading.active_count(), os.umask(0), sys.getprofile())
        """,
    "logging": "import logging; print(logging.root.handlers, logging.root.level); logging.warning('careful')",
    "warnings": "import warnings as w; w.warn('once'); w.warn('dep', DeprecationWarning); print(w.filters)",
    "boto3": "import boto3, botocore; print(boto3.__file__, botocore.__version__, boto3.DEFAULT_SESSION)",
    "no_server_modules": "import sys; print([name for name in sys.modules if 'warm' in name])",
    "import_from_directory": "import sys; sys.path.remove(''); import shlex; print(shlex.__file__)",
    "pickle": "import pickle\nclass C: pass\nprint(type(pickle.loads(pickle.dumps(C()))) is C)",
    "dataclass": "import dataclasses\n@dataclasses.dataclass\nclass C:\n    a: int\nprint(C(1))",
    "annotations": "a: int = 1\nprint(__annotations__)",
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_ends_as_in_a_new_interpreter(shared, name):
    source = textwrap.dedent(SOURCES[name])
    assert without_addresses(shared.run(source)) == without_addresses(cold(source))


def without_addresses(outcome):
    streams = (re.sub(rb"(0x|started )[0-9a-f]+", rb"\1...", stream) for stream in (outcome.stdout, outcome.stderr))
    return outcome.status, *streams


EXITS = st.one_of(
    st.none(), st.integers(-(2**31), 2**31), st.booleans(), st.text(), st.floats(), st.lists(st.integers(), max_size=3)
)


@given(code=EXITS, out=st.text(), err=st.text())
@settings(max_examples=25)
def test_any_exit_and_any_output_are_those_of_a_new_interpreter(shared, code, out, err):
    source = f"import sys; sys.stdout.write({out!a}); sys.stderr.write({err!a}); sys.exit({code!a})".replace(
        "nan", "0.5"
    )
    source = source.replace("sys.exit(inf", "sys.exit(1e999").replace("sys.exit(-inf", "sys.exit(-1e999")
    assert shared.run(source) == cold(source)


def environment_of(outcome):
    return dict(line.split("=", 1) for line in outcome.stdout.decode("utf-8", "surrogateescape").split("\0") if line)


SHOW_ENVIRONMENT = "import os, sys; [os.write(1, k + b'=' + v + b'\\0') for k, v in os.environb.items()]"


def test_a_task_gets_the_environment_that_the_shell_gives_it(shared, tmp_path):
    assigned = {"AWS_PROFILE": "x y", "EMPTY": "", "LINES_": "a\nb", "UTF": "äß€", "RAW": os.fsdecode(b"\xff")}
    directory = str(tmp_path)
    expected = environment_of(cold(SHOW_ENVIRONMENT, assigned, directory))
    assert environment_of(shared.run(SHOW_ENVIRONMENT, assigned, directory)) == expected
    assert expected["PWD"] == directory


def test_the_worker_s_own_environment_reaches_the_task(shared, monkeypatch):
    shared.run("")
    monkeypatch.setenv("SET_SINCE", "1")
    monkeypatch.delenv("PATH")
    assert environment_of(shared.run(SHOW_ENVIRONMENT)) == environment_of(cold(SHOW_ENVIRONMENT))


def test_the_environment_reaches_programs_and_the_c_library_too(shared):
    source = "import subprocess; print(subprocess.run('echo $GIVEN', shell=True, capture_output=True).stdout)"
    assert shared.run(source, {"GIVEN": "here"}).stdout == b"b'here\\n'\n"


def test_directory_umask_and_temporary_folder_are_the_task_s(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    source = """
import os, tempfile
print(os.getcwd(), tempfile.gettempdir())
open('made', 'w').close()
print(oct(os.stat('made').st_mode))
os.unlink('made')
"""
    for mask in (0o022, 0o077, 0o000):
        before = os.umask(mask)
        try:
            assert shared.run(source, directory=str(tmp_path)) == cold(source, directory=str(tmp_path))
        finally:
            os.umask(before)


def test_each_task_starts_anew(shared):
    first = "import boto3, os, sys, builtins; boto3.mine = builtins.mine = 1; os.environ['MINE'] = '1'; sys.mine = 1"
    second = "import boto3, os, sys, builtins as b; print([hasattr(x, 'mine') for x in (boto3, b, sys)])"
    second += "; print('MINE' in os.environ)"
    shared.run(first)
    assert shared.run(second).stdout == b"[False, False, False]\nFalse\n"


def test_every_client_has_botocore_s_endpoints_to_itself(shared):
    source = """
import json, pathlib
from botocore.loaders import Loader
path = pathlib.Path(Loader.BUILTIN_DATA_PATH, "endpoints.json")
expected = json.loads(path.read_text("utf-8"))
first = Loader().load_data("endpoints")
assert first == expected
first.clear()
second, third = Loader().load_data("endpoints"), Loader().load_data("endpoints")
assert second == third == expected and second is not third
print(type(first).__name__, Loader().load_data("partitions")["version"])
"""
    for _number in range(2):
        assert shared.run(source) == cold(source)
    assert shared.run(source).status == 0


def test_every_client_of_s3_has_its_model_to_itself(shared):
    source = """
from botocore.loaders import Loader
first = Loader().load_service_model("s3", "service-2")
operations = sorted(first["operations"])
first.clear()
second = Loader().load_service_model("s3", "service-2")
print(type(second).__name__, sorted(second["operations"]) == operations, len(operations))
print(len(Loader().load_service_model("s3", "endpoint-rule-set-1")["rules"]))
"""
    for _number in range(2):
        assert shared.run(source) == cold(source)
    assert shared.run(source).status == 0


def test_services_are_those_of_botocore_and_of_the_other_folders(shared, tmp_path):
    model = tmp_path / "thing" / "2026-01-01"
    model.mkdir(parents=True)
    (model / "service-2.json").write_text("{}")
    (tmp_path / "not-a-service").mkdir()
    source = f"""
import boto3
from botocore.loaders import JSONFileLoader, Loader
class Nothing(JSONFileLoader):
    def exists(self, file_path):
        return False
mine = [{str(tmp_path)!r}]
for kind in ("service-2", "endpoint-rule-set-1", "waiters-2", "no-such-kind"):
    print(kind, Loader().list_available_services(kind))
    print(Loader(extra_search_paths=list(mine)).list_available_services(kind))
    print(Loader(extra_search_paths=list(mine), include_default_search_paths=False).list_available_services(kind))
    print(Loader(file_loader=Nothing()).list_available_services(kind))
print(boto3.Session().get_available_services())
print(boto3.Session().get_available_resources())
try:
    Loader().load_service_model("no-such-service", "service-2")
except Exception as error:
    print(type(error).__name__, error)
"""
    expected = cold(source)
    assert expected.status == 0, expected.stderr
    assert b"thing" in expected.stdout
    assert shared.run(source) == expected


def test_no_two_tasks_draw_the_same_random_numbers(shared):
    source = "import os, random, ssl, tempfile, uuid; print(random.random(), uuid.uuid4(), ssl.RAND_bytes(8)); "
    source += "print(next(tempfile._get_candidate_names()), os.urandom(4))"
    lines = [line for _number in range(5) for line in shared.run(source).stdout.splitlines()]
    assert len(set(lines)) == len(lines) == 10


def test_a_task_is_led_by_a_session_of_its_own_as_over_local(shared):
    source = "import os; print(os.getsid(0) == os.getppid() == os.getpgid(0) != os.getpid())"
    assert shared.run(source).stdout == b"True\n"


def test_python_is_the_same(shared):
    source = "import sys; print(sys.version, sys.executable)"
    assert shared.run(source).stdout.decode() == f"{sys.version} {sys.executable}\n"
