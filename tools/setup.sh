#!/usr/bin/env bash
# Makes a virtual environment with the pinned packages for its Python, or with those of the file named, once:
#   tools/setup.sh PYTHON VENV [PINS]
# Python 3.11 and 3.12 get ansible 12 (core 2.19), 3.13 gets ansible 14 (core 2.21).
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE

python="$1"
venv="$2"
version="$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')"
case "$version" in
    3.11.* | 3.12.*) pins=requirements/ansible-12.txt ;;
    3.13.*) pins=requirements/ansible-14.txt ;;
    *)
        echo "$python is Python $version; this project works with 3.11 to 3.13." >&2
        exit 1
        ;;
esac
pins="${3:-$pins}"

# The stamp comes last, so a set-up that was killed is done again.
stamp="$venv/.ready"
state="$version $(sha256sum <"$pins")"
if [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
    exit 0
fi
echo "Setting up $venv with Python $version and $pins ..."
rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$pins"
echo "$state" >"$stamp"
