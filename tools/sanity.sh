#!/usr/bin/env bash
# ansible-test sanity over the files of this checkout, without Docker. Arguments go to ansible-test:
#   tools/sanity.sh [--test validate-modules] [plugins/modules/sns_topic.py]
#
# ansible-test works on a copy of the checkout under build/sanity. Its virtual environments, one a test, are kept there
# too, which makes the second run short.
#
# All tests run but two, which ansible-test leaves out by itself where their program is missing: pslint (PowerShell,
# which this collection has none of) and shellcheck.
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE

cd "$(dirname "$0")/.."
work=$PWD/build/sanity
home=$work/home
copy=$(tools/copy_collection.sh "$work")
python_version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ansible_test=$(python -c 'import ansible_test, pathlib; print(pathlib.Path(ansible_test.__file__).parent)')

# ansible-test keeps its things under HOME, so it gets one of its own; and it hands no PIP_* variable to pip, so the pip
# settings in force here go into that HOME. They may hold a password: the file is its owner's alone.
mkdir -p "$home/.config/pip" "$home/.ansible/test/cache"
(umask 077 && python - > "$home/.config/pip/pip.conf") <<'PYTHON'
import ast
import subprocess
import sys


def pip(*arguments):
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


settings = {"cache-dir": pip("cache", "dir").strip()}
for line in pip("config", "list").splitlines():
    # Such as global.index-url='https://...'; those of the environment, :env:, come first and have the last word.
    name, value = line.split("=", 1)
    section, key = name.rsplit(".", 1)
    if section == ":env:" or (section in ("global", "install") and key not in settings):
        settings[key] = ast.literal_eval(value).replace("\n", "\n    ")
settings["disable-pip-version-check"] = "1"
print("[global]")
for key, value in settings.items():
    print(f"{key} = {value}")
PYTHON

# ansible-test downloads a script that puts pip into an empty environment. Python's own ensurepip does the same.
pip_version=$(sed -n "s/^ *pip='\([0-9.]*\)'.*/\1/p" "$ansible_test/_internal/python_requirements.py")
printf 'import ensurepip\n\nensurepip.bootstrap()\n' > "$home/.ansible/test/cache/get_pip_${pip_version//./_}.py"

cd "$copy"
log=$work/sanity.log
if HOME=$home ansible-test sanity --python "$python_version" --color no "$@" 2>&1 | tee "$log"; then
    echo "sanity: $(grep -c '^Running sanity test ' "$log") tests with Python $python_version, none failed"
else
    echo "sanity: failed; the report is in build/sanity/sanity.log" >&2
    exit 1
fi
