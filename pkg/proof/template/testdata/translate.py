"""Prints what AWS::Serverless-2016-10-31 makes of a template, by SAM's own translator; with
"without-events" what is left of it with EventsOut=no."""
import json
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

OF_EVENTS = ("SendsEvents", "EventsMonitored")


class NoManagedPolicies:
    """The template names none, so none is looked up in AWS."""

    def load(self):
        return {}


def without_events(value):
    """Drops what exists with EventsOut=yes only, and takes the other branch of each Fn::If."""
    if isinstance(value, list):
        return [without_events(v) for v in value]
    if not isinstance(value, dict):
        return value
    choice = value.get("Fn::If")
    if choice and choice[0] in OF_EVENTS:
        return without_events(choice[2])
    return {k: without_events(v) for k, v in value.items() if not (isinstance(v, dict) and v.get("Condition") in OF_EVENTS and "Type" in v)}


with open(sys.argv[1], encoding="utf-8") as f:
    template = yaml_parse(f.read())
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/code"  # as sam deploy does
translated = transform(template, {}, NoManagedPolicies())
if sys.argv[2:] == ["without-events"]:
    translated["Resources"] = without_events(translated["Resources"])
print(json.dumps(translated))
