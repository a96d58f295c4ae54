#!/usr/bin/env bash
# ansible-lint at profile production, without a download:
#   tools/ansible_lint.sh [file or folder]...
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "$0")/.."

# ansible.cfg refuses to run without an inventory, and a syntax check has none.
export ANSIBLE_INVENTORY_UNPARSED_FAILED=false
# The rule args starts each module to see its options refused or taken. Should it ever go further, it finds no account.
unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
unset AWS_ACCESS_KEY AWS_SECRET_KEY AWS_URL AWS_ENDPOINT_URL AWS_WEB_IDENTITY_TOKEN_FILE
unset AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI
export AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_CONFIG_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true

exec ansible-lint --offline "$@"
