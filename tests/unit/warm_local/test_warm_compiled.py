"""A module gets the code of the source that it ships, and of no other."""

from __future__ import annotations

import base64
import io
import zipfile

from ansible_collections.cloudcdc.dynamodb_streams.plugins.plugin_utils._warm_local.server.compiled import Code
from hypothesis import given, settings
from hypothesis import strategies as st
from warm_support import cold

PAYLOAD = """
import base64, os, sys, tempfile
folder = tempfile.mkdtemp()
path = os.path.join(folder, "x.zip")
with open(path, "wb") as file:
    file.write(base64.b64decode({archive!r}))
sys.path.insert(0, path)
try:
{body}
finally:
    os.unlink(path)
    os.rmdir(folder)
"""


def payload(members: dict[str, str], body: str) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return PAYLOAD.format(archive=base64.b64encode(archive.getvalue()).decode(), body=lines)


PACKAGE = {
    "ansible_collections/__init__.py": "",
    "ansible_collections/thing/__init__.py": "from . import part\nNAME = 'first'\n",
    "ansible_collections/thing/part.py": "def where():\n    raise ValueError(__file__)\n",
    "ansible_collections/thing/same.py": "def where():\n    raise ValueError(__file__)\n",
}
SHOW = """
import traceback
from ansible_collections import thing
from ansible_collections.thing import part, same
print(thing.NAME, thing.__path__ == [path + "/ansible_collections/thing"], type(thing.__loader__).__mro__[-2].__name__)
for module in (part, same):
    print(module.__file__.replace(folder, ""), module.__spec__.origin == module.__file__)
    print(module.__cached__.replace(folder, ""))
    try:
        module.where()
    except ValueError:
        print(traceback.format_exc().replace(folder, ""))
"""


def test_a_source_has_the_name_of_the_zip_that_it_came_in_each_time(shared):
    source = payload(PACKAGE, SHOW)
    expected = cold(source)
    assert expected.status == 0
    for _number in range(3):
        assert shared.run(source) == expected


@given(values=st.lists(st.integers(0, 3), min_size=2, max_size=6))
@settings(max_examples=15)
def test_a_changed_source_is_never_run_as_it_was(shared, values):
    for value in values:
        members = {"ansible/__init__.py": "", "ansible/shipped.py": f"VALUE = {value}\n"}
        source = payload(members, "from ansible.shipped import VALUE\nprint(VALUE)")
        assert shared.run(source).stdout == f"{value}\n".encode()


def test_a_source_that_is_not_the_installed_one_is_not_taken_for_it(shared):
    members = {
        "ansible/__init__.py": "",
        "ansible/module_utils/__init__.py": "",
        "ansible/module_utils/basic.py": "NAME = 'changed by the user'\n",
    }
    source = payload(members, "from ansible.module_utils import basic\nprint(basic.NAME)")
    assert shared.run(source).stdout == b"changed by the user\n"


def test_a_member_that_does_not_compile_fails_as_ever(shared):
    source = payload({"broken.py": "def (:\n"}, "import broken")
    warm, new = shared.run(source), cold(source)
    assert warm.status == new.status == 1
    assert warm.stderr.splitlines()[-1] == new.stderr.splitlines()[-1]
    assert b"SyntaxError" in warm.stderr


def test_byte_code_in_a_zip_is_left_to_python(shared):
    source = payload({"odd.pyc": "not byte code", "odd.py": "print('source')\n"}, "import odd")
    assert shared.run(source).status == cold(source).status


def test_a_module_that_closes_all_descriptors_does_no_harm(shared):
    members = {"ansible/__init__.py": "", "ansible/later.py": "VALUE = 'closed'\n"}
    body = """
import os
out = os.dup(1)
os.closerange(out + 1, 4096)
files = [os.open(path, os.O_RDWR) for _number in range(200)]
size = os.path.getsize(path)
from ansible import later
print(later.VALUE, os.path.getsize(path) == size)
"""
    source = payload(members, body)
    for _number in range(2):
        assert shared.run(source).stdout == b"closed True\n"


def test_half_written_code_is_let_go(tmp_path):
    file = tmp_path / "told"
    file.write_bytes(b"\0\0\0\x09half")
    with file.open("rb") as told:
        assert Code([]).learn(told.fileno()) == 0
