"""Prints what AWS::Serverless-2016-10-31 makes of a template, by SAM's own translator.

With arguments, what is left of that in a stack with the defaults of all parameters and these:
translate.py template.yaml EventsOut=no. With "without=NAME", what SAM makes of a template that never
had what is under the condition NAME."""
import json
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

GONE = {"Ref": "AWS::NoValue"}


class NoManagedPolicies:
    """The template names none, so none is looked up in AWS."""

    def load(self):
        return {}


class Stack:
    """What a template's conditions say with these parameters."""

    def __init__(self, template, given):
        self.conditions = template.get("Conditions", {})
        self.given = given
        self.parameters = {name: p.get("Default") for name, p in template["Parameters"].items()} | given

    def holds(self, c):
        if isinstance(c, str):
            return self.holds(self.conditions[c])
        (name, arguments), = c.items()
        if name == "Condition":
            return self.holds(arguments)
        if name == "Fn::Equals":
            left, right = (self.parameters[v["Ref"]] if isinstance(v, dict) else v for v in arguments)
            return str(left) == str(right)
        return {"Fn::And": all, "Fn::Or": any, "Fn::Not": lambda all: not any(all)}[name]([self.holds(a) for a in arguments])

    def resolved(self, value):
        """Takes the branch of each Fn::If that applies, and drops what is under other conditions."""
        if isinstance(value, list):
            return [v for v in map(self.resolved, value) if v != GONE]
        if not isinstance(value, dict):
            return value
        if "Fn::If" in value:
            name, yes, no = value["Fn::If"]
            return self.resolved(yes if self.holds(name) else no)
        if value.get("Ref") in self.given:
            return self.given[value["Ref"]]
        kept = {}
        for name, v in value.items():
            if isinstance(v, dict) and isinstance(v.get("Condition"), str):
                v = dict(v)
                if not self.holds(v.pop("Condition")):
                    continue
            v = self.resolved(v)
            if v != GONE:
                kept[name] = v
        return kept


def without(value, name):
    """Removes what is under a condition as if it had never been written."""
    if isinstance(value, list):
        return [without(v, name) for v in value]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value and value["Fn::If"][0] == name:
        return without(value["Fn::If"][2], name)
    return {k: without(v, name) for k, v in value.items() if not (isinstance(v, dict) and v.get("Condition") == name)}


given = dict(argument.split("=", 1) for argument in sys.argv[2:])
with open(sys.argv[1], encoding="utf-8") as f:
    template = yaml_parse(f.read())
if "without" in given:
    template = without(template, given.pop("without"))
    del template["Resources"]["HttpApi"]["Properties"]["DefinitionBody"]  # SAM makes it of the events
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/code"  # as sam deploy does
    if resource["Type"] == "AWS::Serverless::LayerVersion":
        resource["Properties"]["ContentUri"] = "s3://bucket/release"
    resource.get("Metadata", {}).pop("cfn-lint", None)  # what holds for SAM's form only
    if "KmsKeyArn" in given:
        resource.get("Metadata", {}).pop("checkov", None)  # most rules that are skipped want such a key
stack = Stack(template, given)
translated = transform(template, {}, NoManagedPolicies())
if sys.argv[2:]:
    translated = {k: stack.resolved(v) for k, v in translated.items() if k not in ("Conditions", "Rules")}
print(json.dumps(translated))
