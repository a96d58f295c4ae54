"""lambda_package: the same sources give the same zip, and nothing unsuitable gets into it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import zipfile

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import lambda_package as package_utils
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.lambda_package import (
    PackageError,
    check_apart,
    checked_prefix,
    existing_package,
    package_of,
    zip_bytes,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import lambda_package
from hypothesis import given, settings
from hypothesis import strategies as st

SOURCES = {
    "__init__.py": b"",
    "handler.py": b"def handler(event, context):\r\n    return {}\n",
    "envelope/keys.py": b"#",
}
# Of SOURCES in the folder "processor". It must never change: deployed functions would be taken for changed.
DIGEST = "25a6fcba5957a81968192ef9a126802cd011f36efa39f684c0abafa2b165488e"


def fill(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture
def src(tmp_path):
    return fill(tmp_path / "processor", SOURCES)


@pytest.fixture
def run(src, tmp_path, capsys):
    """Runs the module on the sources, with a zip beside them; what it told Ansible."""

    def run_module(check=False, **options):
        given = {"src": str(src), "dest": str(tmp_path / "build/processor.zip"), **options}
        (tmp_path / "tmp").mkdir(
            exist_ok=True
        )  # a missing one is warned of, and Ansible keeps its warnings to the next test
        internal = {"_ansible_check_mode": check, "_ansible_diff": True, "_ansible_remote_tmp": str(tmp_path / "tmp")}
        with patch_module_args({**given, **internal}), pytest.raises(SystemExit):
            lambda_package.main()
        return json.loads(capsys.readouterr().out)

    return run_module


# The bytes


def test_the_digest_is_the_same_on_every_machine(src):
    assert package_of(src).sha256 == DIGEST


def test_times_permissions_and_order_of_creation_do_not_matter(src, tmp_path):
    other = fill(tmp_path / "elsewhere/processor", dict(reversed(SOURCES.items())))
    for number, name in enumerate(SOURCES):
        os.utime(other / name, (number * 10**6, number * 10**6))
        (other / name).chmod(0o700)
    assert package_of(other) == package_of(src)


@settings(max_examples=50)
@given(st.dictionaries(st.text("abz/.é", min_size=1).filter(lambda name: not name.startswith("/")), st.binary()))
def test_a_zip_depends_on_names_and_bytes_alone(files):
    content = zip_bytes(files)
    assert content == zip_bytes(dict(reversed(files.items())))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert archive.namelist() == sorted(files)


def test_entries_are_plain_readable_files_of_a_fixed_time(src):
    with zipfile.ZipFile(io.BytesIO(package_of(src).content)) as archive:
        entries = archive.infolist()
    assert {
        (entry.create_system, entry.external_attr >> 16, entry.date_time, entry.compress_type) for entry in entries
    } == {(3, 0o100644, (1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED)}


def test_a_changed_byte_changes_the_digest(src):
    before = package_of(src).sha256
    (src / "handler.py").write_bytes(SOURCES["handler.py"].replace(b"\r\n", b"\n"))
    assert package_of(src).sha256 != before


# What is in it


def test_files_lie_under_the_name_of_their_folder(src):
    expected = ["processor/__init__.py", "processor/envelope/keys.py", "processor/handler.py"]
    assert list(package_of(src).files) == expected


@pytest.mark.parametrize(
    ("prefix", "first"), [("", "__init__.py"), ("a/b/", "a/b/__init__.py"), ("a", "a/__init__.py")]
)
def test_the_prefix_can_be_chosen(src, prefix, first):
    assert next(iter(package_of(src, prefix).files)) == first


@pytest.mark.parametrize("prefix", ["/a", "../a", "a/../..", "a\\b", "."])
def test_a_prefix_never_leads_out_of_the_package(prefix):
    with pytest.raises(PackageError, match="prefix must be a relative path"):
        checked_prefix(prefix)


def test_a_linked_folder_keeps_the_name_it_was_given(src, tmp_path):
    (tmp_path / "current").symlink_to(src)
    assert next(iter(package_of(tmp_path / "current").files)) == "current/__init__.py"
    assert list(package_of(src / "envelope" / "..").files)[0] == "processor/__init__.py"


def test_caches_tests_and_hidden_files_are_left_out(src):
    fill(src, {"__pycache__/a.py": b"", "b.pyc": b"", ".DS_Store": b"", ".git/config": b"", "envelope/tests/c.py": b""})
    assert package_of(src).sha256 == DIGEST


def test_patterns_mean_names_or_paths(src):
    fill(src, {"envelope/notes.md": b"", "notes.md": b"", "README.MD": b""})
    names = list(package_of(src, "", ["envelope/*.md", "__init__.py", "keys*"]).files)
    assert names == ["README.MD", "handler.py", "notes.md"]
    assert list(package_of(src, "", ["*.md", "envelope"]).files) == ["README.MD", "__init__.py", "handler.py"]


def test_a_link_to_a_file_within_is_packaged_as_that_file(src):
    (src / "alias.py").symlink_to("handler.py")
    files = package_of(src, "").files
    assert files["alias.py"] == files["handler.py"]


def test_contents_are_files_without_a_source(src):
    package = package_of(src, contents={"processor/rules.json": '["é"]', "LICENSE": ""})
    assert package.files["processor/rules.json"] == hashlib.sha256('["é"]'.encode()).hexdigest()
    assert list(package.files) == [
        "LICENSE",
        *sorted([f"processor/{name}" for name in SOURCES] + ["processor/rules.json"]),
    ]


def test_contents_give_the_bytes_that_a_source_would(src, tmp_path):
    other = fill(tmp_path / "elsewhere/processor", {**SOURCES, "rules.json": b"[]"})
    assert package_of(src, contents={"processor/rules.json": "[]"}) == package_of(other)
    assert package_of(src, contents={}).sha256 == DIGEST


@pytest.mark.parametrize("name", ["/a", "../a", "a/../b", "a/./b", "a//b", "a/", "", ".", "a\\b"])
def test_contents_never_lead_out_of_the_package(src, name):
    with pytest.raises(PackageError, match="contents must name relative paths"):
        package_of(src, contents={name: ""})


def test_contents_never_take_the_place_of_a_source(src):
    with pytest.raises(PackageError, match="there is a source file of that name already"):
        package_of(src, contents={"processor/handler.py": ""})
    assert "handler.py" in package_of(src, contents={"handler.py": ""}).files


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({"processor/handler.py/a": ""}, "makes processor/handler.py both a file and the folder of processor/handler"),
        ({"processor": ""}, "makes processor both a file and the folder of processor/__init__.py"),
        ({"a": "", "a/b": ""}, "makes a both a file and the folder of a/b"),
        ({"a": ["b"]}, "contents must give each file as text; a is given as list"),
        ({"a": "\ud800"}, "contents gives 'a' with characters that UTF-8 does not have"),
    ],
)
def test_contents_that_no_package_can_hold_are_refused(src, contents, words):
    with pytest.raises(PackageError, match=words):
        package_of(src, contents=contents)


def test_links_that_lead_elsewhere_are_refused(src, tmp_path):
    (tmp_path / "secret").write_text("x")
    (src / "secret").symlink_to(tmp_path / "secret")
    with pytest.raises(PackageError, match="link out of the folder"):
        package_of(src)
    assert "secret" not in package_of(src, "", ["secret"]).files


def test_links_to_folders_are_refused(src):
    (src / "envelope/loop").symlink_to(src)
    with pytest.raises(PackageError, match="link to a folder"):
        package_of(src)


def test_a_broken_link_is_refused(src):
    (src / "gone.py").symlink_to("missing.py")
    with pytest.raises(PackageError, match="not a regular file"):
        package_of(src)


def test_what_is_no_file_is_refused(src):
    os.mkfifo(src / "pipe")
    with pytest.raises(PackageError, match="pipe is not a regular file"):
        package_of(src)


def test_a_name_that_is_not_utf8_is_refused(src):
    (src / os.fsdecode(b"\xff.py")).write_bytes(b"")
    with pytest.raises(PackageError, match="not UTF-8"):
        package_of(src)


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(PackageError, match="There is no folder"):
        package_of(tmp_path / "missing")


def test_a_file_is_no_folder(src):
    with pytest.raises(PackageError, match="is not a folder"):
        package_of(src / "handler.py")


def test_an_empty_folder_is_refused(tmp_path):
    fill(tmp_path / "empty", {"__pycache__/a.pyc": b""})
    with pytest.raises(PackageError, match="nothing to package"):
        package_of(tmp_path / "empty")


def test_an_unreadable_file_is_told_by_name(src, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(package_utils.Path, "read_bytes", refuse)
    with pytest.raises(PackageError, match=r"Cannot read .*\.py: Permission denied"):
        package_of(src)


def test_an_unreadable_folder_is_told_by_name(src, monkeypatch):
    def refuse(_root, onerror):
        onerror(PermissionError(13, "Permission denied", str(src)))

    monkeypatch.setattr(package_utils.os, "walk", refuse)
    with pytest.raises(PackageError, match="Cannot read the folder .*processor: Permission denied"):
        package_of(src)


@pytest.mark.parametrize(("limit", "words"), [("ZIP_LIMIT", "direct upload"), ("UNZIPPED_LIMIT", "unzips")])
def test_what_lambda_does_not_take_is_refused(src, monkeypatch, limit, words):
    size = len(package_of(src).content) if limit == "ZIP_LIMIT" else sum(map(len, SOURCES.values()))
    monkeypatch.setattr(package_utils, limit, size)
    package_of(src)
    monkeypatch.setattr(package_utils, limit, size - 1)
    with pytest.raises(PackageError, match=words):
        package_of(src)


def test_the_zip_must_lie_outside_of_its_sources(src):
    with pytest.raises(PackageError, match="outside of src"):
        check_apart(src, src / "build/processor.zip")
    check_apart(src, src.parent / "processor.zip")


def test_contents_count_for_what_lambda_unzips(src, monkeypatch):
    monkeypatch.setattr(package_utils, "UNZIPPED_LIMIT", sum(map(len, SOURCES.values())) + 2)
    package_of(src, contents={"a": "é"})
    with pytest.raises(PackageError, match="unzips"):
        package_of(src, contents={"a": "é!"})


def test_something_else_in_place_of_the_zip_has_no_files(tmp_path):
    (tmp_path / "a.zip").write_text("no zip")
    assert existing_package(tmp_path / "a.zip").files == {}
    assert existing_package(tmp_path / "missing.zip") is None


# The module


def test_the_package_is_written_once(run, tmp_path):
    made = run()
    content = (tmp_path / "build/processor.zip").read_bytes()
    digest = hashlib.sha256(content).digest()
    assert (made["changed"], made["sha256"], made["size"]) == (True, DIGEST, len(content))
    assert (made["sha256"], made["code_sha256"]) == (digest.hex(), base64.b64encode(digest).decode())
    assert made["files"] == ["processor/__init__.py", "processor/envelope/keys.py", "processor/handler.py"]
    assert made["path"] == str(tmp_path / "build/processor.zip")
    before = (tmp_path / "build/processor.zip").stat()
    assert run()["changed"] is False
    assert (tmp_path / "build/processor.zip").stat() == before
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["processor.zip"]


def test_check_mode_tells_the_package_and_writes_nothing(run, tmp_path):
    told = run(check=True)
    assert (told["changed"], told["sha256"]) == (True, DIGEST)
    assert not (tmp_path / "build").exists()
    run()
    assert run(check=True)["changed"] is False
    assert run(check=True, state="absent")["changed"]
    assert (tmp_path / "build/processor.zip").exists()


def test_the_difference_names_the_files_that_differ(run, src):
    run()
    (src / "handler.py").write_bytes(b"changed")
    (src / "new.py").write_bytes(b"")
    (src / "envelope/keys.py").unlink()
    diff = run()["diff"]
    before, after = diff["before"]["files"], diff["after"]["files"]
    assert set(before) - set(after) == {"processor/envelope/keys.py"}
    assert set(after) - set(before) == {"processor/new.py"}
    assert {name for name in before.keys() & after.keys() if before[name] != after[name]} == {"processor/handler.py"}


def test_contents_that_change_change_the_package(run):
    run()
    assert run(check=True, contents={"processor/rules.json": "[]"})["changed"]
    made = run(contents={"processor/rules.json": "[]"})
    assert made["changed"] and "processor/rules.json" in made["files"]
    assert set(made["diff"]["after"]["files"]) - set(made["diff"]["before"]["files"]) == {"processor/rules.json"}
    assert run(contents={"processor/rules.json": "[]"})["changed"] is False
    assert run(contents={"processor/rules.json": "[1]"})["changed"]
    assert run()["sha256"] == DIGEST
    assert "relative paths" in run(contents={"/rules.json": ""})["msg"]


def test_a_damaged_zip_is_replaced(run, tmp_path):
    run()
    zip_path = tmp_path / "build/processor.zip"
    zip_path.write_bytes(zip_path.read_bytes()[:-30])
    assert run()["changed"]
    assert package_utils.Package(zip_path.read_bytes()).sha256 == DIGEST


def test_the_package_is_removed_once(run, tmp_path):
    run()
    gone = run(state="absent", src=None)
    assert (gone["changed"], gone["diff"]["after"]) == (True, {})
    assert not (tmp_path / "build/processor.zip").exists()
    assert run(state="absent", src=None)["changed"] is False


def test_a_refusal_fails_the_module_and_leaves_the_old_zip(run, src, tmp_path):
    run()
    for path in sorted(src.rglob("*.py")):
        path.unlink()
    told = run()
    assert told["failed"] and "nothing to package" in told["msg"]
    assert package_utils.Package((tmp_path / "build/processor.zip").read_bytes()).sha256 == DIGEST


def test_a_folder_in_place_of_the_zip_is_told(run, tmp_path):
    assert "is a folder" in run(dest=str(tmp_path))["msg"]


def test_a_place_that_cannot_be_written_is_told(run, tmp_path):
    (tmp_path / "file").write_text("")
    told = run(dest=str(tmp_path / "file/processor.zip"))
    assert told["failed"] and "Cannot use" in told["msg"]
