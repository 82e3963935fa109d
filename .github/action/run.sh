#!/bin/sh
# Finds the crossfade binary for this machine, checks it, and becomes it.
#
# action.yml runs this on Linux and macOS. It needs a POSIX shell, uname, and
# sha256sum or shasum. It downloads nothing and writes nothing.
set -eu

# An annotation, and the exit code for a run that contacted nobody.
fail() {
    echo "::error title=crossfade::$1" >&2
    exit 2
}

# The SHA-256 of a file, in hexadecimal. From standard input, because some
# versions escape unusual file names in what they print.
sha256() {
    if command -v sha256sum >/dev/null 2>&1; then
        digest=$(sha256sum <"$1")
    elif command -v shasum >/dev/null 2>&1; then
        digest=$(shasum -a 256 <"$1")
    else
        fail 'Neither sha256sum nor shasum is on this runner, so the binary cannot be checked. Install one, or name a binary with the input "binary".'
    fi
    echo "${digest%% *}"
}

# The user's own binary: theirs to trust.
if [ -n "${CROSSFADE_BINARY:-}" ]; then
    case $CROSSFADE_BINARY in
    */*) binary=$CROSSFADE_BINARY ;;
    *) binary=./$CROSSFADE_BINARY ;;
    esac
    [ -f "$binary" ] || fail 'The input "binary" names no file. A relative path starts at the working directory.'
    [ -x "$binary" ] || fail 'The input "binary" names a file that is not executable. Run chmod +x on it first.'
    exec "$binary" rotate
fi

releases=https://github.com/crossfade-rs/crossfade/releases

system=$(uname -s)
machine=$(uname -m)
case $system in
Linux) vendor=unknown-linux-musl ;;
Darwin) vendor=apple-darwin ;;
*) fail "No crossfade binary is built for this system. Build one with cargo (source: $releases) and name it with the input \"binary\"." ;;
esac
case $machine in
x86_64 | amd64) architecture=x86_64 ;;
aarch64 | arm64) architecture=aarch64 ;;
*) fail "No crossfade binary is built for this processor. Build one with cargo (source: $releases) and name it with the input \"binary\"." ;;
esac
target=$architecture-$vendor

dist=$GITHUB_ACTION_PATH/dist
binary=$dist/$target/crossfade
if [ ! -f "$binary" ] || [ ! -f "$dist/SHA256SUMS" ]; then
    fail "This tree of the action carries no binary for $target: it is not a released one. Use a release tag (or its commit), or fetch crossfade-$target from $releases and name it with the input \"binary\"."
fi

# The tag's commit vouches for these bytes; the sum catches a tree that was
# damaged or changed on its way here.
expected=
while read -r sum name; do
    if [ "$name" = "$target/crossfade" ]; then
        expected=$sum
    fi
done <"$dist/SHA256SUMS"
[ -n "$expected" ] || fail "dist/SHA256SUMS in the action's tree does not name $target. Take the action from a release tag, see $releases."
actual=$(sha256 "$binary")
[ "$actual" = "$expected" ] || fail "The binary for $target in the action's tree is not the one that was released: its SHA-256 differs from dist/SHA256SUMS. It was not run. Take the action anew from a release tag, see $releases."
[ -x "$binary" ] || fail "The binary for $target in the action's tree is not executable: its copy lost the file mode. Take the action anew, or name a binary with the input \"binary\"."

exec "$binary" rotate
