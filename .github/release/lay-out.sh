#!/usr/bin/env bash
# lay-out.sh DOWNLOADS ASSETS DIST: from the artifacts of a release run to the
# files of the release page (ASSETS) and of the tag's tree (DIST).
#
# Each artifact lies in a folder of its own under DOWNLOADS, named after it. What
# an artifact may hold is listed here, file by file: anything else, and anything
# missing, ends the release, so that no job can put a file in another's place.
set -euo pipefail
if (($# != 3)); then
    echo "usage: $0 DOWNLOADS ASSETS DIST" >&2
    exit 2
fi
downloads=$1 assets=$2 dist=$3

targets=(
    x86_64-unknown-linux-musl
    aarch64-unknown-linux-musl
    x86_64-apple-darwin
    aarch64-apple-darwin
    x86_64-pc-windows-msvc
)

expected=(
    sbom/crossfade.cdx.json
    extras/completions-and-manual.tar.gz
    extras/crossfade.schema.json
    extras/extras.sigstore.json
)
for target in "${targets[@]}"; do
    suffix=
    if [[ $target == *-windows-* ]]; then suffix=.exe; fi
    expected+=(
        "crossfade-$target/crossfade-$target$suffix"
        "crossfade-$target/crossfade-$target.sigstore.json"
    )
done

# Everything that is not a folder, links among it, is compared.
found=$(cd "$downloads" && find . ! -type d -printf '%y %P\n' | LC_ALL=C sort)
wanted=$(printf 'f %s\n' "${expected[@]}" | LC_ALL=C sort)
if [[ $found != "$wanted" ]]; then
    echo "error: the artifacts hold other files than they should (< expected, > found):" >&2
    diff <(echo "$wanted") <(echo "$found") >&2 || true
    exit 1
fi

mkdir "$assets" "$dist"
for file in "${expected[@]}"; do cp "$downloads/$file" "$assets/"; done
for target in "${targets[@]}"; do
    suffix=
    if [[ $target == *-windows-* ]]; then suffix=.exe; fi
    chmod +x "$assets/crossfade-$target$suffix"
    mkdir "$dist/$target"
    cp "$assets/crossfade-$target$suffix" "$dist/$target/crossfade$suffix"
done

# The sums of the tag's tree, and those of every file of the release page.
(cd "$dist" && sha256sum -- */crossfade* >SHA256SUMS)
(cd "$assets" && sha256sum -- * >../SHA256SUMS.assets && mv ../SHA256SUMS.assets SHA256SUMS)
cat "$dist/SHA256SUMS" "$assets/SHA256SUMS"
