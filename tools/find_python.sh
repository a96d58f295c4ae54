#!/usr/bin/env bash
# Prints the newest suitable Python (3.11 to 3.13) with venv and pip, or the one of the version asked for:
#   tools/find_python.sh [X.Y]
set -euo pipefail

wanted="${1:-3.13 3.12 3.11}"
for version in $wanted; do
    for python in "python$version" "$HOME/.pyenv/versions/$version".*/bin/python; do
        found="$("$python" -c 'import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)"
        if [ "$found" = "$version" ]; then
            "$python" -c 'import sys; print(sys._base_executable)'
            exit 0
        fi
    done
done
echo "No Python ${wanted// / or } with venv and pip was found. Install one (Debian: apt install python3 python3-venv)," \
    "or name it: make PYTHON=/path/to/python3 ..." >&2
exit 1
