# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the server has imported before the first task: the AWS libraries, and what Ansible's modules take of Python's.

Nothing of Ansible and of collections is among them: that comes with each task, and is executed by it.
"""

from __future__ import annotations

import importlib
import os
import threading
import warnings

_NAMES = """
    boto3 boto3.session boto3.s3.transfer botocore botocore.args botocore.client botocore.config botocore.credentials
    botocore.endpoint botocore.exceptions botocore.handlers botocore.httpsession botocore.loaders botocore.paginate
    botocore.parsers botocore.session botocore.signers botocore.waiter
    dateutil.parser dateutil.tz distro jmespath packaging.version s3transfer urllib3
    __future__ argparse ast atexit base64 collections concurrent.futures.thread contextlib ctypes dataclasses datetime
    encodings.cp437 encodings.idna errno fcntl functools getpass gettext grp hashlib hmac importlib.metadata
    importlib.resources inspect io ipaddress itertools json locale logging marshal math multiprocessing operator os
    pathlib pkgutil platform pwd queue random re resource runpy select selectors shlex shutil signal socket ssl stat
    string stringprep struct subprocess syslog tempfile textwrap threading time traceback types typing typing_extensions
    unicodedata urllib.parse urllib.request uuid zipfile
"""

#: The kinds of data that each client reads of its service.
_OF_A_CLIENT = ("service-2", "endpoint-rule-set-1")


class Unfit(Exception):
    """A fork of this process would not be what a new interpreter is."""


def preload() -> None:
    """Import all that is installed. A task's own import of what is missing fails as it always did."""
    with warnings.catch_warnings(record=True) as said:
        for name in _NAMES.split():
            try:
                importlib.import_module(name)
            except ImportError:
                continue
        _know_botocore_s_data()
    if said:
        raise Unfit(f"an import warns: {said[0].message}")
    if threading.active_count() != 1:
        raise Unfit("an import started a thread")


def _know_botocore_s_data() -> None:
    """Read of botocore's own data what each client looks for, and what costs more than all else of most clients."""
    try:
        from botocore.loaders import JSONFileLoader, Loader
    except ImportError:
        return
    own = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    _hand_out_files(JSONFileLoader, _large_files(own))
    _list_services(Loader, own)


def _large_files(own) -> list[str]:
    """The one that every client reads, and those of S3, whose client several tasks of a run make."""
    from botocore.exceptions import DataNotFoundError

    names = ["endpoints"]
    for kind in _OF_A_CLIENT:
        try:
            names.append(os.path.join("s3", own.determine_latest_version("s3", kind), kind))  # noqa: PTH118
        except DataNotFoundError:
            continue
    return [os.path.join(own.BUILTIN_DATA_PATH, name) for name in names]  # noqa: PTH118


def _hand_out_files(loader_class, paths: list[str]) -> None:
    """Parse them before."""
    ready = {path: loader_class().load_file(path) for path in paths}
    read = loader_class.load_file

    def load_file(self, file_path):
        # Once in a process: whoever asks again gets, as ever, one that nobody else has.
        found = ready.pop(file_path, None)
        return read(self, file_path) if found is None else found

    loader_class.load_file = load_file


def _list_services(loader_class, own) -> None:
    """Go through botocore's hundreds of folders before: each client does so twice to see that its service is one."""
    listed = {kind: own.list_available_services(kind) for kind in _OF_A_CLIENT}
    plain = type(own.file_loader)
    search = loader_class.list_available_services

    def list_available_services(self, type_name):
        others = [path for path in self.search_paths if path not in own.search_paths]
        if type_name not in listed or len(others) == len(self.search_paths) or self.file_loader.__class__ is not plain:
            return search(self, type_name)
        # In other folders, such as the user's own for models, there may be anything.
        rest = loader_class(extra_search_paths=others, include_default_search_paths=False)
        return sorted({*listed[type_name], *search(rest, type_name)})

    loader_class.list_available_services = list_available_services
