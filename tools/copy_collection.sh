#!/usr/bin/env bash
# Copies this checkout to <folder>/ansible_collections/cloudcdc/dynamodb_streams, with links to the collections that it
# builds on beside it, and prints the copy's path:
#   tools/copy_collection.sh <folder>
#
# ansible-test and antsibull-docs want a collection under that path, and get lost in the link that .collections holds.
# Only files that git knows, or would add, are copied: no virtual environment, no cache, no output.
set -euo pipefail

folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
copy=$folder/ansible_collections/cloudcdc/dynamodb_streams
installed=$(python -c 'import ansible_collections.amazon.aws as it; print(it.__path__[0].removesuffix("/amazon/aws"))')

rm -rf "$copy"
mkdir -p "$copy"
# git still lists what was deleted since the last commit.
existing='import os, sys
names = sys.stdin.buffer.read().split(b"\0")
sys.stdout.buffer.write(b"\0".join(name for name in names if name and os.path.lexists(name)))'
git ls-files -co --exclude-standard -z -- . ':!.collections' \
    | python -c "$existing" \
    | tar --create --null --files-from - --file - \
    | tar --extract --file - --directory "$copy"
# A repository of its own: the one around it ignores build/.
git init --quiet "$copy"

for name in amazon/aws community/aws; do
    mkdir -p "$folder/ansible_collections/${name%/*}"
    ln -sfn "$installed/$name" "$folder/ansible_collections/$name"
done
echo "$copy"
