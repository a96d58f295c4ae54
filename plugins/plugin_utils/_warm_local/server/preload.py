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
        _hand_out_endpoints()
    if said:
        raise Unfit(f"an import warns: {said[0].message}")
    if threading.active_count() != 1:
        raise Unfit("an import started a thread")


def _hand_out_endpoints() -> None:
    """Parse the file of botocore's own that every client reads, and that costs more than all others of most clients."""
    try:
        from botocore.loaders import JSONFileLoader, Loader
    except ImportError:
        return
    path = os.path.join(Loader.BUILTIN_DATA_PATH, "endpoints")  # noqa: PTH118
    ready = {path: JSONFileLoader().load_file(path)}
    read = JSONFileLoader.load_file

    def load_file(self, file_path):
        # Once in a process: whoever asks again gets, as ever, one that nobody else has.
        found = ready.pop(file_path, None)
        return read(self, file_path) if found is None else found

    JSONFileLoader.load_file = load_file
