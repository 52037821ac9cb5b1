"""Prints what AWS::Serverless-2016-10-31 makes of a template, by SAM's own translator."""
import json
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """The template names none, so none is looked up in AWS."""

    def load(self):
        return {}


with open(sys.argv[1], encoding="utf-8") as f:
    template = yaml_parse(f.read())
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/code"  # as sam deploy does
print(json.dumps(transform(template, {}, NoManagedPolicies())))
