"""Says what rule packs find in forms of the template that packs.yaml has no reason for, and which
of its reasons explain nothing any more.

packs.py FOLDER FORM.json...: FOLDER is where make lint-template has fetched cdk-nag, cfn-guard and
their rules."""
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

import yaml

here, fetched, files = pathlib.Path(__file__).parent, pathlib.Path(sys.argv[1]), sys.argv[2:]
modules = fetched / "node_modules"
guard = modules / "@cdklabs/cdk-validator-cfnguard"


def nag():
    """Findings of cdk-nag."""
    run = subprocess.run(["node", here / "nag.js", *files], env=os.environ | {"NODE_PATH": str(modules)}, stdout=subprocess.PIPE, text=True, check=True)
    for line in run.stdout.splitlines():
        file, rule, resource = line.split("\t")
        yield rule, resource, pathlib.Path(file).stem


def cfn_guard():
    """Findings of cfn-guard: AWS Control Tower's proactive controls, and rules of the registry."""
    system = {"Linux": "ubuntu", "Darwin": "macos"}[platform.system()]
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    types = {resource["Type"] for file in files for resource in json.loads(pathlib.Path(file).read_text())["Resources"].values()}
    # Parsing the rules for types that the template lacks takes most of the time.
    rules = [path for path in (guard / "rules/control-tower/cfn-guard").rglob("*.guard") if any(f'"{kind}"' in path.read_text() for kind in types)]
    rules.append(fetched / "python/awslabs/aws_iac_mcp_server/data/default_guard_rules.guard")
    run = subprocess.run([guard / "bin" / system / machine / "cfn-guard", "validate", "-d", *files, "-r", *rules, "--structured", "--output-format", "json", "--show-summary", "none"], stdout=subprocess.PIPE, text=True)
    if run.returncode not in (0, 19):  # 19: something is found
        sys.exit(f"cfn-guard ended with {run.returncode}")
    for report in json.loads(run.stdout):
        for rule in report["not_compliant"]:
            for resource in set(re.findall(r'"path": "/Resources/(\w+)', json.dumps(rule))) or {"-"}:
                yield rule["Rule"]["name"], resource, pathlib.Path(report["name"]).stem


found = {}
for rule, resource, form in [*nag(), *cfn_guard()]:
    found.setdefault((rule, resource), set()).add(form)
wrong = []
for reason in yaml.safe_load((here / "packs.yaml").read_text()):
    clean = set(reason.get("clean", []))
    for resource in reason["of"]:
        forms = found.pop((reason["rule"], resource), set())
        if not forms:
            wrong.append(f"{reason['rule']} of {resource} is not found any more")
        if forms & clean:
            wrong.append(f"{reason['rule']} of {resource} is found in {', '.join(sorted(forms & clean))}")
wrong += [f"{rule} of {resource} is found in {', '.join(sorted(forms))}, and has no reason in packs.yaml" for (rule, resource), forms in sorted(found.items())]
print("\n".join(wrong), end="\n" if wrong else "")
sys.exit(bool(wrong))
