#!/usr/bin/env bash
# verify.sh ASSETS: that what is to be published was attested where it was built,
# by this very run's workflow, branch and commit.
#
# The attestation is signed in the job that makes the bytes, and no later job can
# sign another: a file that was swapped on the way does not pass.
set -euo pipefail
if (($# != 1)); then
    echo "usage: $0 ASSETS" >&2
    exit 2
fi
assets=$1
: "${GITHUB_REPOSITORY:?}" "${GITHUB_SHA:?}"

# verify FILE BUNDLE
verify() {
    echo "verifying ${1##*/}"
    local names
    names=$(gh attestation verify "$1" --bundle "$2" \
        --repo "$GITHUB_REPOSITORY" \
        --signer-workflow "$GITHUB_REPOSITORY/.github/workflows/release.yml" \
        --source-ref refs/heads/main --source-digest "$GITHUB_SHA" \
        --deny-self-hosted-runners \
        --format json --jq '.[].verificationResult.statement.subject[].name')
    # One target's binary must not stand under another's name.
    if ! grep -qxF -- "${1##*/}" <<<"$names"; then
        echo "error: ${1##*/} was attested under other names: $names" >&2
        return 1
    fi
}

count=0
for bundle in "$assets"/crossfade-*.sigstore.json; do
    binary=${bundle%.sigstore.json}
    if [[ $binary == *-windows-* ]]; then binary+=.exe; fi
    verify "$binary" "$bundle"
    count=$((count + 1))
done
if ((count != 5)); then
    echo "error: $count binaries were attested, and 5 are published" >&2
    exit 1
fi
for file in completions-and-manual.tar.gz crossfade.schema.json; do
    verify "$assets/$file" "$assets/extras.sigstore.json"
done
