"""Prints the permissions that CloudFormation's handlers of resource types need, of cfn-lint's copy of
the types' schemas, for the types of a translated template."""
import json
import pathlib
import sys

import cfnlint.data.schemas

with open(sys.argv[1], encoding="utf-8") as f:
    kinds = {r["Type"] for r in json.load(f)["Resources"].values()}
found = {}
for path in (pathlib.Path(cfnlint.data.schemas.__file__).parent / "resources").glob("*.json"):
    schema = json.loads(path.read_text(encoding="utf-8"))
    if schema.get("typeName") in kinds:
        handlers = {name: h for name, h in schema.get("handlers", {}).items() if name != "list"}
        parts = [h.get("permissions", []) for h in handlers.values()] + [schema.get("tagging", {}).get("permissions", [])]
        found[schema["typeName"]] = sorted({one for part in parts for one in part})
print(json.dumps(found))
