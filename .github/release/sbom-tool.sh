#!/usr/bin/env bash
# Installs cargo-cyclonedx, pinned by the hash of its source. That brings its own
# lock file, with a hash for each crate below it.
set -euo pipefail
version=0.5.9
sum=5d162f67705f0f5038759d73bf546a083bf30e8677c2e944b416bca48d9d69a8
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
curl --fail --silent --show-error --location --proto '=https' --tlsv1.2 --retry 3 \
    --output "$work/source.tar.gz" "https://static.crates.io/crates/cargo-cyclonedx/cargo-cyclonedx-$version.crate"
echo "$sum  $work/source.tar.gz" | sha256sum --check --strict -
tar -xzf "$work/source.tar.gz" -C "$work"
cargo install --locked --path "$work/cargo-cyclonedx-$version"
