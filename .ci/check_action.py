"""Holds action.yml to its rules, which no schema can express.

Every input reaches both steps through one CROSSFADE_ variable, every output
comes from both steps, no expression stands inside a script, and no other
action is used.
"""

import sys
from pathlib import Path

from ruamel.yaml import YAML

action = YAML(typ="safe").load(Path("action.yml"))
problems = []


def must(condition, problem):
    if not condition:
        problems.append(problem)


def variable(name):
    return "CROSSFADE_" + name.upper().replace("-", "_")


expected_env = {variable(name): "${{ inputs.%s }}" % name for name in action["inputs"]}
steps = action["runs"]["steps"]
must(action["runs"]["using"] == "composite", "it is not composite")
must([step["id"] for step in steps] == ["unix", "windows"], "its steps are not unix and windows")
for step in steps:
    name = step["id"]
    must("uses" not in step, f"{name}: uses another action")
    must("${{" not in step["run"], f"{name}: an expression inside its script")
    must("working-directory" not in step, f"{name}: leaves the user's working directory")
    got = dict(step["env"])
    for key in sorted(expected_env.keys() | got.keys()):
        must(got.get(key) == expected_env.get(key), f"{name}: {key} is not what its input says")

for name, output in action["outputs"].items():
    wired = "${{ steps.unix.outputs.%s || steps.windows.outputs.%s }}" % (name, name)
    must(output["value"] == wired, f"output {name} is not wired to both steps")
for kind in ("inputs", "outputs"):
    for name, entry in action[kind].items():
        must(entry.get("description"), f"{kind}: {name} has no description")
        # crossfade cannot know the workflow's own token.
        default = "${{ github.token }}" if name == "issue-token" else None
        must(entry.get("default") == default, f"{kind}: {name} has another default; defaults are crossfade's own")

for script in sorted(Path(".github/action").iterdir()):
    text = script.read_text()
    must(text.isascii(), f"{script}: not ASCII; Windows PowerShell would misread it")
    must("INPUT_" not in text, f"{script}: reads INPUT_*, which a runner does not set here")
    must("crossfade-rs/crossfade/releases" in text, f"{script}: does not name the releases")

for problem in problems:
    print(f"action.yml: {problem}", file=sys.stderr)
print(f"action.yml: {len(expected_env)} inputs and {len(action['outputs'])} outputs checked, {len(problems)} problems")
sys.exit(bool(problems))
