"""The connection plugin ``warm_local`` in real runs: the results of ``local``, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_runs import CHECKOUT, Project
from cloud_driver import LocalCloud

from local_cloud import processes

WARM = "cloudcdc.dynamodb_streams.warm_local"
CONNECTIONS = ("local", WARM)
#: In the environment of a run, which all that it starts inherits.
MARK = "CDC_TEST_WARM_RUN"


@dataclass
class Ended:
    """One ended ansible-playbook."""

    returncode: int
    output: str
    #: What the connection plugin told, in order.
    told: list[str]

    @property
    def results(self) -> list[tuple[str, str, dict[str, Any]]]:
        start = re.search(r"^\{$", self.output, re.MULTILINE)
        assert start, self.output[-3000:]
        report, _end = json.JSONDecoder().raw_decode(self.output[start.start() :])
        return [
            (task["task"]["name"], host, result)
            for play in report["plays"]
            for task in play["tasks"]
            for host, result in sorted(task["hosts"].items())
        ]


class Playbook:
    """A playbook of the test's own, run with a temporary folder of its own. Its modules are in the folder library."""

    def __init__(self, folder: Path, tasks: str | list[dict[str, Any]], hosts: int = 1, **play: Any):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.mark = uuid.uuid4().hex
        given = yaml.safe_load(textwrap.dedent(tasks)) if isinstance(tasks, str) else tasks
        written = [{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": given, **play}]
        (folder / "play.yml").write_text(yaml.safe_dump(written, sort_keys=False))
        host = "host{} ansible_python_interpreter='{{{{ ansible_playbook_python }}}}'\n".format
        (folder / "hosts").write_text("".join(map(host, range(hosts))))

    def command(self, connection: str, *arguments: str) -> list[str]:
        return [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("-i", str(self.folder / "hosts"), str(self.folder / "play.yml"), "-vvv"),
            *("-e", f"ansible_connection={connection}"),
            *arguments,
        ]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_"))}
        return {
            **kept,
            MARK: self.mark,
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_LIBRARY": str(self.folder / "library"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            **more,
        }

    def run(self, connection: str, *arguments: str, **environment: str) -> Ended:
        done = subprocess.run(
            self.command(connection, *arguments),
            cwd=CHECKOUT,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )
        output = done.stdout + done.stderr
        return Ended(done.returncode, output, re.findall(r"^<\w+> warm_local: (.*)$", output, re.MULTILINE))

    @contextmanager
    def started(self, connection: str):
        """A run in a session of its own; what still runs of it when the block is left is killed."""
        process = subprocess.Popen(
            self.command(connection),
            cwd=CHECKOUT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            assert processes.end(self.processes, signal.SIGKILL, 10)
            process.wait()

    def processes(self) -> list[int]:
        return processes.bearers(MARK, self.mark)

    def files(self) -> list[str]:
        """What is left of the plugin in the run's temporary folder."""
        return [str(path) for path in (self.folder / "tmp").rglob("*") if "warm_local" in str(path)]

    def nothing_left(self) -> bool:
        return processes.wait_until(lambda: not self.processes() and not self.files(), 15)


def without_volatile(value: Any) -> Any:
    """A result without what differs between any two runs: times, numbers of requests, names of folders."""
    if isinstance(value, dict):
        return {name: without_volatile(each) for name, each in value.items() if name not in VOLATILE}
    if isinstance(value, (list, tuple)):
        return [without_volatile(each) for each in value]
    if not isinstance(value, str):
        return value
    for pattern, replacement in REPLACED:
        value = pattern.sub(replacement, value)
    return value


VOLATILE = {
    *("start", "end", "delta", "duration", "elapsed", "date", "started_at", "atime", "mtime", "ctime", "inode", "dev"),
    *("ansible_job_id", "results_file", "request_id", "x-amzn-requestid", "content-length", "retry_attempts"),
    *("ansible_connection", "ansible_date_time", "_original_basename"),
    # Of the run's lock, and of a key.
    *("token", "held_from", "current_key_material_id"),
}
REPLACED = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*([+-]\d\d:?\d\d|Z)?"), "TIME"),
    (re.compile(r"ansible-(tmp|local)-[\w.-]+"), "FOLDER"),
    (re.compile(r"_payload_\w+"), "_payload"),
    (re.compile(r"/tmp[a-z0-9_]{8}/"), "/TEMPORARY/"),
    (re.compile(r"0x[0-9a-f]+"), "ADDRESS"),
    (re.compile(r"\b1[5-9]\d{8}(\.\d+|\d{3})?\b"), "EPOCH"),
    # The one trace of the server: one line more, of its own program, above a module's on the stack.
    (re.compile(r'(  File "<stdin>", line \d+, in <module>\n)+'), '  File "<stdin>", line N, in <module>\n'),
    (re.compile(r"(AROA|AIDA|ANPA|AKIA)[A-Z0-9]+"), r"\1"),
]


def assert_same(local: Any, warm: Any, what: str = "") -> None:
    found = list(differences(without_volatile(local), without_volatile(warm), what))
    assert not found, "\n".join(found)


def differences(local: Any, warm: Any, where: str) -> Iterator[str]:
    """Where two results differ, and how."""
    if isinstance(local, dict) and isinstance(warm, dict):
        for name in sorted(local.keys() | warm.keys()):
            yield from differences(local.get(name), warm.get(name), f"{where}.{name}")
    elif isinstance(local, list) and isinstance(warm, list) and len(local) == len(warm):
        for number, pair in enumerate(zip(local, warm, strict=True)):
            yield from differences(*pair, f"{where}[{number}]")
    elif local != warm:
        yield f"{where}: {local!r} != {warm!r}"


def both(folder: Path, tasks: str | list[dict[str, Any]], hosts: int = 1, **environment: str) -> dict[str, Ended]:
    """The same playbook over both connections, which have to agree."""
    playbook = Playbook(folder, tasks, hosts)
    ended = {connection: playbook.run(connection, **environment) for connection in CONNECTIONS}
    local, warm = (ended[connection] for connection in CONNECTIONS)
    assert_same(local.results, warm.results)
    assert warm.returncode == local.returncode
    assert not local.told
    return ended


BY_SERVER = "run by the server"

COMMANDS = """
- name: Environment
  ansible.builtin.command: sh -c 'echo "$GIVEN|$EMPTY|$PWD"'
  environment: {GIVEN: "a b 'c' \\"d\\" $HOME ä\\n", EMPTY: ""}
- name: All of it
  ansible.builtin.shell: env | sort
- name: Directory
  ansible.builtin.command: pwd
- name: Other directory
  ansible.builtin.command: {cmd: pwd, chdir: /usr}
- name: Umask
  ansible.builtin.shell: umask; touch made; stat -c %a made; rm made
- name: Standard input
  ansible.builtin.command: {cmd: cat, stdin: "line 1\\nline 2"}
- name: No standard input
  ansible.builtin.command: cat
- name: Fails
  ansible.builtin.command: sh -c 'echo out; echo err >&2; exit 3'
  ignore_errors: true
- name: Is not there
  ansible.builtin.command: /no/such/program
  ignore_errors: true
- name: Is killed
  ansible.builtin.shell: kill -9 $$
  ignore_errors: true
- name: Limits and signals
  ansible.builtin.shell: ulimit -a; grep -E '^(Sig|NoNewPrivs|Cap|Groups)' /proc/self/status
- name: Descriptors
  ansible.builtin.command: ls /proc/self/fd
- name: Loop
  ansible.builtin.command: echo {{ item }}
  loop: [1, 2]
- name: Stat
  ansible.builtin.stat: {path: /etc/passwd}
- name: Wait
  ansible.builtin.wait_for: {timeout: 1}
- name: Facts
  ansible.builtin.setup: {gather_subset: ["!all", python, env, user]}
- name: Censored
  ansible.builtin.command: echo secret
  no_log: true
"""

#: Modules that end in ways of which Ansible makes something else than a result.
BROKEN = {
    "raises": "def main():\n    AnsibleModule({})\n    raise RuntimeError('out of main')\nmain()",
    "raises_at_once": "raise ValueError('at once')",
    "exits": "import sys\nprint('no JSON')\nsys.exit(7)",
    "ends": "print('nothing more')",
    "is_killed": "import os\nprint('out', flush=True)\nos.kill(os.getpid(), 9)",
    "is_terminated": "import os\nos.kill(os.getpid(), 15)",
    "writes_around": "import sys\nprint('before')\nsys.stderr.write('err')\nAnsibleModule({}).exit_json(changed=True)",
    "fails": "AnsibleModule({}).fail_json('this is why', more=[1, 2])",
    "warns": "m = AnsibleModule({})\nm.warn('careful')\nm.deprecate('old', version='99')\nm.exit_json()",
    "wants_library": "import no_such_library",
    "does_not_compile": "def (:",
    "leaves_thread": "import threading, time\nt = threading.Thread(target=time.sleep, args=(0.3,))\nt.start()\n"
    "AnsibleModule({}).exit_json(alive=t.is_alive())",
    "shows_itself": "import sys, __main__\nAnsibleModule({}).exit_json(argv=sys.argv, name=__name__, "
    "main=__main__.__dict__ is globals(), file=__file__, stdin=sys.stdin.read(), path=sys.path[1:])",
}

FAILURES = """
- name: Wrong option
  ansible.builtin.ping: {no_such: 1}
  ignore_errors: true
- name: Asked to crash
  ansible.builtin.ping: {data: crash}
  ignore_errors: true
- name: No answer
  amazon.aws.aws_caller_info:
    {endpoint_url: "http://127.0.0.1:9", region: us-east-1, access_key: KEYID, secret_key: KEYSECRET}
  ignore_errors: true
- name: Wrong parameters
  amazon.aws.s3_bucket: {name: x, state: unheard of}
  ignore_errors: true
"""

OTHERS = """
- name: Raw
  ansible.builtin.raw: echo raw; exit 2
  ignore_errors: true
- name: Script
  ansible.builtin.script: library/script.sh
- name: Not Python
  shell_module:
- name: Old style
  wants_json: {a: 1}
- name: Asynchronous
  ansible.builtin.command: sh -c 'echo async; exit 4'
  async: 30
  poll: 1
  ignore_errors: true
- name: Fire and forget
  ansible.builtin.command: sleep 0.2
  async: 30
  poll: 0
  register: job
- name: Other interpreter
  ansible.builtin.command: echo other
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python | realpath }}"}
- name: Another start of Python
  ansible.builtin.command: echo python
  environment: {PYTHONPATH: /nowhere}
- name: Without pipelining
  ansible.builtin.command: echo file
  vars: {ansible_pipelining: false}
- name: Copy
  ansible.builtin.copy: {content: "{{ 1 + 1 }}", dest: "{{ playbook_dir }}/copied", mode: "0640"}
- name: Template
  ansible.builtin.template: {src: library/script.sh, dest: "{{ playbook_dir }}/copied", mode: "0600"}
- name: Slurp
  ansible.builtin.slurp: {src: "{{ playbook_dir }}/copied"}
- name: Remove
  ansible.builtin.file: {path: "{{ playbook_dir }}/copied", state: absent}
- name: Wait for the job
  ansible.builtin.async_status: {jid: "{{ job.ansible_job_id }}"}
  register: status
  until: status is finished
  retries: 60
  delay: 1
"""


class TestTheSameResults:
    def test_of_commands_and_all_that_they_can_see(self, tmp_path):
        ended = both(tmp_path, COMMANDS)
        assert ended[WARM].told == [BY_SERVER] * 18

    @pytest.mark.parametrize("traceback", ["never", "error,warning"])
    def test_of_modules_that_fail_each_in_its_way(self, tmp_path, traceback):
        library = tmp_path / "library"
        library.mkdir()
        for name, body in BROKEN.items():
            (library / f"{name}.py").write_text(f"from ansible.module_utils.basic import AnsibleModule\n{body}\n")
        tasks: list[dict[str, Any]] = [{"name": name, name: {}, "ignore_errors": True} for name in BROKEN]
        tasks += yaml.safe_load(FAILURES)
        ended = both(tmp_path, tasks, ANSIBLE_DISPLAY_TRACEBACK=traceback)
        assert len(ended[WARM].results) == len(tasks)
        # What does not compile is not sent.
        assert ended[WARM].told == [BY_SERVER] * (len(tasks) - 1)

    def test_of_what_the_server_does_not_run(self, tmp_path):
        library = tmp_path / "library"
        library.mkdir()
        (library / "shell_module").write_text('#!/bin/sh\necho \'{"changed": false, "said": "by sh"}\'\n')
        (library / "wants_json.py").write_text(
            "#!/usr/bin/python\n# WANT_JSON\nimport json, sys\n"
            "print(json.dumps({'got': json.load(open(sys.argv[1]))['a']}))\n"
        )
        (library / "script.sh").write_text("#!/bin/sh\necho from a script\n")
        told = both(tmp_path, OTHERS)[WARM].told
        assert "run by local, the command is not this Python with a module" in told
        assert "run by local, the server cannot run this task as a new interpreter would" in told
        # copy takes stat and copy, template as well.
        assert told.count(BY_SERVER) >= 6

    @pytest.mark.skipif(os.getuid() != 0 or not shutil.which("su"), reason="needs to escalate unasked")
    def test_of_privilege_escalation(self, tmp_path):
        tasks = """
            - name: Module
              ansible.builtin.command: id -un
            - name: Raw
              ansible.builtin.raw: id -un
            """
        escalated = [{**task, "become": True, "become_method": "ansible.builtin.su"} for task in yaml.safe_load(tasks)]
        ended = both(tmp_path, escalated, ANSIBLE_BECOME_ALLOW_SAME_USER="1")
        assert [result["stdout"].strip() for _name, _host, result in ended[WARM].results] == ["root", "root"]
        assert BY_SERVER not in ended[WARM].told

    def test_of_a_task_s_timeout(self, tmp_path):
        ended = both(
            tmp_path,
            """
            - name: Takes too long
              ansible.builtin.command: sleep 5
              timeout: 2
              ignore_errors: true
            - name: In time
              ansible.builtin.command: echo in time
              timeout: 60
            """,
        )
        first = ended[WARM].results[0][2]
        assert first["failed"] and "Timed out after 2 second" in first["msg"]

    def test_of_module_utils_of_the_user_s_own(self, tmp_path):
        library, utils = tmp_path / "library", tmp_path / "module_utils"
        library.mkdir()
        utils.mkdir()
        (utils / "mine.py").write_text("VALUE = 'first'\n")
        for name in ("first", "second"):
            (library / f"{name}.py").write_text(
                "from ansible.module_utils.basic import AnsibleModule\n"
                "from ansible.module_utils.mine import VALUE\n"
                "AnsibleModule({}).exit_json(value=VALUE)\n"
            )
        ended = both(
            tmp_path,
            [
                {"name": "First", "first": {}},
                {"name": "Change it", "ansible.builtin.command": f"sed -i s/first/second/ {utils}/mine.py"},
                {"name": "Second", "second": {}},
                {"name": "Change it back", "ansible.builtin.command": f"sed -i s/second/first/ {utils}/mine.py"},
            ],
            ANSIBLE_MODULE_UTILS=str(utils),
        )
        values = [result.get("value") for _name, _host, result in ended[WARM].results]
        assert values == ["first", None, "second", None]


class TestManyHosts:
    def test_ten_at_once_have_one_server(self, tmp_path):
        tasks = """
            - name: Who runs this
              ansible.builtin.shell: echo {{ inventory_hostname }} $(ps -o ppid= -p $(ps -o ppid= -p $PPID))
              register: who
            - name: Once more
              ansible.builtin.shell: echo {{ inventory_hostname }} $(ps -o ppid= -p $(ps -o ppid= -p $PPID))
            """
        ended = Playbook(tmp_path, tasks, hosts=10).run(WARM, "--forks", "10")
        said = [result["stdout"].split() for _name, _host, result in ended.results]
        assert [name for name, _server in said] == [host for _name, host, _result in ended.results]
        assert len(said) == 20 and len({server for _name, server in said}) == 1
        assert ended.told == [BY_SERVER] * 20

    def test_a_delegated_task_is_run_for_its_own_host(self, tmp_path):
        tasks = """
            - name: Delegated
              ansible.builtin.command: echo {{ inventory_hostname }}
              delegate_to: host1
            """
        both(tmp_path, tasks, hosts=3)


class TestTheServerFails:
    #: The shell's parent is the task, its parent the keeper, and its parent the server.
    KILL = "kill -9 $(ps -o ppid= -p $(ps -o ppid= -p $PPID))"

    def test_killed_in_the_middle_of_a_run_it_is_started_again(self, tmp_path):
        tasks = [
            {"name": "Before", "ansible.builtin.ping": {}},
            {"name": "Kill it", "ansible.builtin.shell": self.KILL},
            {"name": "After", "ansible.builtin.ping": {}},
        ]
        playbook = Playbook(tmp_path, tasks)
        ended = playbook.run(WARM)
        assert ended.returncode == 0, ended.output
        assert ended.told == [BY_SERVER] * 3
        assert playbook.nothing_left()

    def test_killed_by_each_task_it_is_done_without(self, tmp_path):
        tasks = [{"name": f"Kill it {number}", "ansible.builtin.shell": self.KILL} for number in range(7)]
        playbook = Playbook(tmp_path, tasks, ignore_errors=True)
        # The last ones are run by local, where they hit something else.
        tasks[5:] = [{"name": "Goes on", "ansible.builtin.ping": {}} for _number in range(2)]
        ended = Playbook(tmp_path, tasks).run(WARM)
        assert ended.returncode == 0, ended.output
        assert ended.told[:5] == [BY_SERVER] * 5
        assert "run by local, the server ended 5 times" in ended.told
        assert playbook.nothing_left()

    def test_where_its_folder_cannot_be_made_all_is_run_by_local(self, tmp_path):
        tasks = [
            {"name": "In the way", "ansible.builtin.command": "true"},
            {"name": "Still works", "ansible.builtin.command": "echo fine"},
        ]
        playbook = Playbook(tmp_path, tasks)
        ended = playbook.run(WARM, "-e", "ansible_warm_local_start_timeout=0")
        assert ended.returncode == 0
        assert BY_SERVER not in ended.told


class TestNothingIsLeft:
    TASKS = [
        {"name": "Runs", "ansible.builtin.ping": {}},
        {"name": "Says that it runs", "ansible.builtin.file": {"path": "{{ playbook_dir }}/runs", "state": "touch"}},
        {"name": "Takes its time", "ansible.builtin.command": "sleep 4"},
    ]

    def test_by_a_normal_run(self, tmp_path):
        playbook = Playbook(tmp_path, self.TASKS[:2], hosts=3)
        assert playbook.run(WARM).returncode == 0
        assert playbook.nothing_left()

    def test_by_a_failed_run(self, tmp_path):
        playbook = Playbook(tmp_path, [*self.TASKS[:2], {"name": "Fails", "ansible.builtin.command": "false"}])
        assert playbook.run(WARM).returncode == 2
        assert playbook.nothing_left()

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
    def test_by_a_run_that_is_ended(self, tmp_path, how):
        playbook = Playbook(tmp_path, self.TASKS, hosts=2)
        with playbook.started(WARM) as process:
            assert processes.wait_until((tmp_path / "runs").exists, 60)
            time.sleep(0.5)
            process.send_signal(how)
            process.wait(30)
            assert playbook.nothing_left()

    def test_and_no_server_is_started_without_a_task_for_it(self, tmp_path):
        playbook = Playbook(tmp_path, self.TASKS[:1])
        ended = playbook.run(WARM, "-e", "ansible_python_interpreter=/usr/bin/python3")
        assert not ended.told or BY_SERVER not in ended.told
        assert playbook.nothing_left()


class Pipeline:
    """The role's playbooks over one connection, in a cloud of its own."""

    def __init__(self, cloud, folder: Path, connection: str):
        self.project = Project(cloud, folder, {"activities": {"maximum_batching_window_in_seconds": 0}})
        self.connection = connection

    def run_all(self) -> list[Ended]:
        return [self.run(*verb) for verb in VERBS]

    def run(self, verb: str, *arguments: str) -> Ended:
        done = subprocess.run(
            self.project.command(verb, "-vvv", "-e", f"ansible_connection={self.connection}", *arguments),
            cwd=CHECKOUT,
            env=self.project.environment(ANSIBLE_STDOUT_CALLBACK="ansible.posix.json", ANSIBLE_PIPELINING="1"),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
        cloud = self.project.cloud
        output = done.stdout.replace(f"127.0.0.1:{cloud.port}", "CLOUD").replace(str(self.project.folder), "/folder")
        return Ended(0, output, re.findall(r"^<\w+> warm_local: (.*)$", output, re.MULTILINE))


#: What is off by default.
HARDER = {
    "kms_key_create": True,
    "log_format": "JSON",
    "audit_lifecycle": {"expiration_days": 30},
    "replay_at_scale": True,
    "compaction": True,
    "change_topic_name": "activity-notifications-anew",
}
HARDER_TOLD = json.dumps({f"ddb_stream_pipeline_{name}": value for name, value in HARDER.items()})
#: Together they run every module of the role.
VERBS = [
    ("deploy",),
    ("verify",),
    ("failure_drill", "--check", "-e", "drill_mode=poison"),
    ("redrive",),
    ("baseline",),
    ("replay", "-e", "replay_target=verify"),
    ("deploy", "-e", HARDER_TOLD),
    ("rollback",),
    ("status", "-e", "status_fail_on=never"),
    ("teardown", "-e", HARDER_TOLD),
    ("teardown", "-e", "teardown_delete_data=true", "-e", HARDER_TOLD),
]
#: Their results are what they measured and made up; of those the outcome is compared.
MEASURING = ("verify", "failure_drill", "redrive", "baseline", "replay", "status")
#: What the local cloud answers otherwise each time, and the checksum of a file with such an answer in it.
CLOUDS_OWN = {"response_metadata", "location", "state_reason", "state_reason_data", "checksum", "md5sum"}
#: template is made of stat, copy and file; wait_for only waits for AWS, where the local cloud lets nobody wait; what
#: sts_assume_role answers are keys.
COMPARED_ABOVE = {"template", "wait_for", "sts_assume_role"}
CLOUDS_TIMES = ("_time", "_timestamp", "_date", "_modified", "_since")


@pytest.fixture
def two_clouds(cloud, tmp_path_factory) -> Iterator[list[LocalCloud]]:
    """So that both connections' runs go on at once."""
    cloud.reset()
    second = LocalCloud(home=tmp_path_factory.mktemp("second_cloud"))
    try:
        second.run("start")
        yield [cloud, second]
    finally:
        second.end()


@pytest.mark.cloud
def test_every_module_of_the_role_gives_the_same_result(two_clouds, tmp_path_factory):
    pipelines = [
        Pipeline(cloud, tmp_path_factory.mktemp("pipeline"), connection)
        for cloud, connection in zip(two_clouds, CONNECTIONS, strict=True)
    ]
    with ThreadPoolExecutor() as pool:
        runs = dict(zip(CONNECTIONS, pool.map(Pipeline.run_all, pipelines), strict=True))
    for verb, local, warm in zip(VERBS, *runs.values(), strict=True):
        measured = verb[0] in MEASURING
        assert_same(comparable(local, measured), comparable(warm, measured), verb[0])
        assert set(warm.told) <= {BY_SERVER}
    served = {name for run in runs[WARM] for name in modules_run(run.output)}
    missing = modules_of_the_role() - served - COMPARED_ABOVE
    assert not missing, f"not compared, so VERBS lacks a playbook: {missing}"


def comparable(run: Ended, measured: bool) -> list[Any]:
    outcome = ("action", "changed", "failed", "skipped", "skip_reason")
    return [
        (name, host, {key: result.get(key) for key in outcome} if measured else without_clouds_own(result))
        for name, host, result in run.results
    ]


def without_clouds_own(value: Any) -> Any:
    """Policies are listed in any order by the module, which has them from a set."""
    if isinstance(value, list):
        return [without_clouds_own(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: each for name, each in value.items() if name not in CLOUDS_OWN and not name.endswith(CLOUDS_TIMES)}
    if "attached_policies" in kept:
        kept["attached_policies"] = sorted(kept["attached_policies"], key=str)
    return {name: without_clouds_own(each) for name, each in kept.items()}


def modules_run(output: str) -> set[str]:
    """The modules that the server ran: the plugin tells so after Ansible tells the module's file."""
    pattern = r"^Using module file \S*/(\w+)\.py\n(?:<[^\n]*\n)*?<\w+> warm_local: run by the server$"
    return set(re.findall(pattern, output, re.MULTILINE))


def modules_of_the_role() -> set[str]:
    """The names of all modules in the role's tasks that are not done by the controller alone."""
    texts = [path.read_text() for path in (CHECKOUT / "roles").rglob("tasks/*.yml")]
    found = {name for text in texts for name in re.findall(r"^ +(?:\w+)\.(?:\w+)\.(\w+):$", text, re.MULTILINE)}
    on_the_controller = {"meta", "assert", "debug", "fail", "import_tasks", "include_role", "include_tasks", "set_fact"}
    return found - on_the_controller


@pytest.mark.parametrize("environment", ["local", "dev", "staging", "production"])
def test_every_environment_chooses_it(environment):
    variables = CHECKOUT / "inventories" / environment / "group_vars/cdc_pipelines.yml"
    assert yaml.safe_load(variables.read_text())["ansible_connection"] == WARM


def test_the_documentation_says_what_there_is_to_set():
    command = [str(Path(sys.executable).parent / "ansible-doc"), "-t", "connection", "--json", WARM]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    documented = json.loads(done.stdout)[WARM]["doc"]
    assert documented["options"]["pipelining"]["default"] is True
    # All that local can be set to, as it is there.
    command = [*command[:-1], "local"]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    for name, option in json.loads(done.stdout)["local"]["doc"]["options"].items():
        mine = documented["options"][name]
        for key in ("env", "ini", "vars"):
            assert mine.get(key) == option.get(key), (name, key)
