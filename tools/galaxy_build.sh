#!/usr/bin/env bash
# Builds the collection's tarball into build/galaxy, and looks at what is in it: files that git knows, or would add, and
# nothing else, so no virtual environment, no cache, no output.
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE

cd "$(dirname "$0")/.."
work=build/galaxy
rm -rf "$work"
mkdir -p "$work"
ansible-galaxy collection build --output-path "$work" > "$work/build.log"
tarball=$(ls "$work"/*.tar.gz)

tar --list --verbose --gzip --file "$tarball" > "$work/contents.txt"
# What the functions and the modules share is one code in two places.
shared='\(_change_rules/[a-z_]*\.py -> \(\.\./\)\{3\}files/lambda/stream_processor/rules\|'
shared=$shared'_history/[a-z_]*\.py -> \(\.\./\)\{3\}files/lambda/replayer/history\)/'
if grep '^l' "$work/contents.txt" | grep -v " plugins/module_utils/$shared" >&2; then
    echo "$tarball holds the symbolic links above" >&2
    exit 1
fi
# Folders end with a slash; the two lists of contents are ansible-galaxy's own.
tar --list --gzip --file "$tarball" | grep -v -e '/$' -e '^MANIFEST.json$' -e '^FILES.json$' | LC_ALL=C sort \
    > "$work/packed.txt"
git ls-files -co --exclude-standard | LC_ALL=C sort -u > "$work/known.txt"
if LC_ALL=C comm -23 "$work/packed.txt" "$work/known.txt" | grep . >&2; then
    echo "$tarball holds the files above, which git ignores: add them to build_ignore in galaxy.yml" >&2
    exit 1
fi
if grep -E '^(\.git|\.collections|\.ci|\.venv[^/]*|build)(/|$)' "$work/packed.txt" >&2; then
    echo "$tarball holds the files above, which only the checkout needs: add them to build_ignore in galaxy.yml" >&2
    exit 1
fi
for file in README.md LICENSE meta/runtime.yml; do
    if ! grep -qx "$file" "$work/packed.txt"; then
        echo "$tarball lacks $file" >&2
        exit 1
    fi
done
# What Galaxy itself would say on upload. ansible-lint has a look of its own at the checkout.
if ! (cd "$work" && GALAXY_IMPORTER_RUN_ANSIBLE_LINT=false python -m galaxy_importer.main ./*.tar.gz) \
    > "$work/import.log" 2>&1; then
    grep -v '^Loading ' "$work/import.log" >&2
    exit 1
fi

echo "tarball: $tarball, $(wc -l < "$work/packed.txt") files, $(du -h "$tarball" | cut -f 1)"
