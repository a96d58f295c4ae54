#!/usr/bin/env bash
# Documentation: what ansible-doc can show, what the docsite can build, what the changelog can hold. Works offline.
set -euo pipefail
shopt -s nullglob
unset PYTHONDONTWRITEBYTECODE

cd "$(dirname "$0")/.."
work=$PWD/build/docs_lint
copy=$(tools/copy_collection.sh "$work")
# antsibull-docs copies the collections it builds on by what git knows of them, and git knows nothing of a virtual
# environment in this checkout: it must not find the checkout.
GIT_CEILING_DIRECTORIES=$(pwd -P)
export GIT_CEILING_DIRECTORIES
export ANSIBLE_CONFIG=$copy/ansible.cfg ANSIBLE_COLLECTIONS_PATH=$work ANSIBLE_NOCOLOR=1
cd "$copy"

# show <type> <file or folder>...: ansible-doc must know them all, and have nothing to complain about.
shown=0
show() {
    local type=$1 path name names=()
    shift
    for path in "$@"; do
        name=$(basename "$path" .py)
        names+=("cloudcdc.dynamodb_streams.$name")
    done
    if [ ${#names[@]} -eq 0 ]; then return; fi
    ansible-doc --type "$type" --json "${names[@]}" > "$work/shown.json" 2> "$work/complaints.txt" || true
    # Ansible 2.21 complains of a collection of its own.
    if grep -v '_internal/ansible_collections/ansible/_protomatter' "$work/complaints.txt" >&2; then exit 1; fi
    python - "$work/shown.json" "${names[@]}" <<'PYTHON'
import json
import sys

shown = json.load(open(sys.argv[1], encoding="utf-8"))
missing = [name for name in sys.argv[2:] if not shown.get(name)]
sys.exit(f"ansible-doc shows nothing of {', '.join(missing)}" if missing else 0)
PYTHON
    shown=$((shown + ${#names[@]}))
}
show module plugins/modules/[a-z]*.py
show filter plugins/filter/[a-z]*.py
show test plugins/test/[a-z]*.py
show lookup plugins/lookup/[a-z]*.py
show connection plugins/connection/[a-z]*.py
show callback plugins/callback/[a-z]*.py
show role roles/*/

antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs dependent \
    --disallow-unknown-collection-refs .
antsibull-changelog lint
echo "documentation: $shown modules, plugins and roles shown by ansible-doc; docsite and changelog without complaint"
