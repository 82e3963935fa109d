# Finds the crossfade binary for Windows, checks it, and runs it.
#
# action.yml runs this with Windows PowerShell 5.1. It downloads nothing and
# writes nothing. What it does is what run.sh beside it does.
$ErrorActionPreference = 'Stop'

# An annotation, and the exit code for a run that contacted nobody.
function Exit-WithError([string] $Message) {
    [Console]::Error.WriteLine("::error title=crossfade::$Message")
    exit 2
}

# Runs the binary; its exit code becomes the step's.
function Invoke-Crossfade([string] $Path) {
    # The report is UTF-8; Windows PowerShell would read it as something else.
    [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false
    # What the binary says on standard error is no error of this script.
    $ErrorActionPreference = 'Continue'
    & $Path rotate
    exit $LASTEXITCODE
}

# The user's own binary: theirs to trust.
if ($env:CROSSFADE_BINARY) {
    if (-not (Test-Path -LiteralPath $env:CROSSFADE_BINARY -PathType Leaf)) {
        Exit-WithError 'The input "binary" names no file. A relative path starts at the working directory.'
    }
    Invoke-Crossfade (Resolve-Path -LiteralPath $env:CROSSFADE_BINARY).ProviderPath
}

$releases = 'https://github.com/crossfade-rs/crossfade/releases'

# A 32-bit PowerShell on a 64-bit system sees the system's processor in
# PROCESSOR_ARCHITEW6432. Windows on ARM runs the x86_64 binary by emulation.
$processor = $env:PROCESSOR_ARCHITEW6432
if (-not $processor) { $processor = $env:PROCESSOR_ARCHITECTURE }
if ($processor -notin 'AMD64', 'ARM64') {
    Exit-WithError "No crossfade binary is built for this processor. Build one with cargo (source: $releases) and name it with the input `"binary`"."
}
$target = 'x86_64-pc-windows-msvc'

$dist = Join-Path $env:GITHUB_ACTION_PATH 'dist'
$binary = Join-Path $dist "$target/crossfade.exe"
$sums = Join-Path $dist 'SHA256SUMS'
if (-not ((Test-Path -LiteralPath $binary -PathType Leaf) -and (Test-Path -LiteralPath $sums -PathType Leaf))) {
    Exit-WithError "This tree of the action carries no binary for ${target}: it is not a released one. Use a release tag (or its commit), or fetch crossfade-$target.exe from $releases and name it with the input `"binary`"."
}

# The tag's commit vouches for these bytes; the sum catches a tree that was
# damaged or changed on its way here.
$expected = $null
foreach ($line in Get-Content -LiteralPath $sums) {
    $sum, $name = $line -split '\s+', 2
    if ($name -eq "$target/crossfade.exe") { $expected = $sum }
}
if (-not $expected) {
    Exit-WithError "dist/SHA256SUMS in the action's tree does not name $target. Take the action from a release tag, see $releases."
}
if ((Get-FileHash -LiteralPath $binary -Algorithm SHA256).Hash -ne $expected) {
    Exit-WithError "The binary for $target in the action's tree is not the one that was released: its SHA-256 differs from dist/SHA256SUMS. It was not run. Take the action anew from a release tag, see $releases."
}

Invoke-Crossfade $binary
