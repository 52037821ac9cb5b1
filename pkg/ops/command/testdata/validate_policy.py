"""Says what parliament finds in the IAM policy on standard input, apart from what is right all the same."""
import json
import sys

from parliament import analyze_policy_string, enhance_finding

RIGHT = {
    ("INVALID_ARN", "arn:aws:cloudformation:*:aws:transform/Serverless-2016-10-31"): "AWS's own, without an account",
    ("RESOURCE_STAR", "cloudwatch:DescribeAlarms"): "AWS: DescribeAlarms must be granted on *",
    ("UNKNOWN_ACTION", "apigateway:TagResource"): "newer than parliament",
    ("UNKNOWN_ACTION", "apigateway:UntagResource"): "newer than parliament",
    ("UNKNOWN_ACTION", "lambda:GetFunctionScalingConfig"): "newer than parliament",
}
found, idle = [], set(RIGHT)
for finding in analyze_policy_string(sys.stdin.read()).findings:
    where = str(finding.location.get("string") or " ".join(map(str, finding.detail)))
    if (finding.issue, where) in RIGHT:
        idle.discard((finding.issue, where))
    else:
        found.append(f"{enhance_finding(finding).title}: {where} {json.dumps(finding.detail, default=str)}")
print("\n".join(found + [f"{issue} of {where} is not found any more" for issue, where in sorted(idle)]), end="")
sys.exit(bool(found or idle))
