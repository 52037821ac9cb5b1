package template

import (
	"slices"
	"strings"
)

// domainIsOptional: with DomainName the API has that name alone, unless the default endpoint is
// kept; without, there is none of it.
func domainIsOptional(p *proof) (faults []string) {
	for id, want := range map[string]map[string]string{
		"ApiDomain": {"Type": "AWS::ApiGatewayV2::DomainName", "Condition": "HasDomain", "Properties/DomainName": "${DomainName}"},
		"ApiMapping": {
			"Type": "AWS::ApiGatewayV2::ApiMapping", "Condition": "HasDomain", "Properties/ApiId": "${HttpApi}",
			"Properties/DomainName": "${ApiDomain}", "Properties/Stage": "${HttpApiApiGatewayDefaultStage}",
		},
		"ApiRecord": {
			"Type": "AWS::Route53::RecordSet", "Condition": "MakesRecord", "Properties/HostedZoneId": "${HostedZoneId}", "Properties/Name": "${ApiDomain}",
			"Properties/AliasTarget/DNSName": "${ApiDomain.RegionalDomainName}", "Properties/AliasTarget/HostedZoneId": "${ApiDomain.RegionalHostedZoneId}",
		},
	} {
		faults = append(faults, must(id, find(p.Root(), "Resources", id), want)...)
	}
	if off := find(p.Root(), "Resources", "HttpApi", "Properties", "DisableExecuteApiEndpoint"); off == nil || off.Tag != "!If" || len(off.Content) != 3 ||
		off.Content[0].Value != "OnlyDomain" || off.Content[1].Value != "true" || off.Content[2].Value != "false" {
		faults = append(faults, "HttpApi: a domain does not turn the default endpoint off, and no domain on")
	}
	for _, id := range []string{"WebhookUrl", "SendUrl"} {
		value := find(p.Root(), "Outputs", id, "Value")
		if with := whole(value); with == value || value.Content[0].Value != "HasDomain" || !strings.HasPrefix(ref(with), "https://${DomainName}/") {
			faults = append(faults, id+" is not an address of the domain where there is one")
		}
	}
	return faults
}

// half lists parameters that need a second: without it they are refused by this rule, and with
// it by none.
var half = []struct{ rule, given, value, needs, needed string }{
	{"DomainNeedsCertificate", "DomainName", "wa.example.com", "CertificateArn", "arn:aws:acm:x"},
	{"CertificateNeedsDomain", "CertificateArn", "arn:aws:acm:x", "DomainName", "wa.example.com"},
	{"RecordNeedsDomain", "HostedZoneId", "Z1", "DomainName", "wa.example.com"},
	{"GradualDeploysNeedAlarms", "GradualDeploys", "AllAtOnce", "Monitoring", "yes"},
}

// rulesRefuse: CloudFormation refuses parameters whose other half is missing, says why, and accepts
// the defaults.
func rulesRefuse(p *proof) (faults []string) {
	refused := func(rule string, parameters map[string]string) bool {
		rules, err := p.Refused(parameters)
		if err != nil {
			faults = append(faults, err.Error())
		}
		return slices.Contains(rules, rule)
	}
	known := map[string]bool{}
	for _, h := range half {
		known[h.rule] = true
		if refused(h.rule, nil) {
			faults = append(faults, h.rule+" refuses the defaults")
		}
		if !refused(h.rule, map[string]string{h.given: h.value, h.needs: ""}) {
			faults = append(faults, h.given+" without "+h.needs+" is accepted")
		}
		if refused(h.rule, map[string]string{h.given: h.value, h.needs: h.needed}) {
			faults = append(faults, h.given+" with "+h.needs+" is refused")
		}
	}
	for id, n := range each(find(p.Root(), "Rules")) {
		if !known[id] {
			faults = append(faults, "the rule "+id+" is not tried")
		}
		for _, a := range list(find(n, "Assertions")) {
			if ref(find(a, "AssertDescription")) == "" {
				faults = append(faults, id+" does not say why")
			}
		}
	}
	return faults
}
