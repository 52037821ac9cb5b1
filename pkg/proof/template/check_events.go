package template

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/events"
	"connexease-functions/pkg/events/schema"
	"connexease-functions/pkg/local/sim/pipes"
	"connexease-functions/pkg/local/template"
)

const (
	mostEntries  = 10                     // AWS API reference: PutEvents
	streamKept   = 24 * time.Hour         // Amazon DynamoDB: "Change data capture for DynamoDB Streams"
	templateMost = 8192                   // AWS API reference: PipeTargetParameters, InputTemplate
	mostRetries  = 185                    // of the pipe's, after whose backoff a day has passed
	shardWrites  = 1000                   // per second; a shard follows a partition (Amazon DynamoDB: "Burst and adaptive capacity")
	putsTake     = 100 * time.Millisecond // assumed: a batch's time in the pipe
)

// neverOut lists attributes that no event has: the payload, and the ledger's own.
var neverOut = strings.Fields("payload contact_payload payload_sha256 attempts fingerprint v valid_until on_unknown expires_at timeline_pk timeline_sk")

// eventsGoOut: one pipe, with bounded retries, publishes what is new on the bus, and nothing
// internal; its role may do that and no more.
func eventsGoOut(p *proof) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	pipes, err := p.Pipes()
	if err != nil || len(pipes) != 1 {
		return []string{fmt.Sprintf("there are %d pipes instead of one, %v", len(pipes), err)}
	}
	pipe := pipes[0]
	properties := find(p.Root(), "Resources", pipe.Name, "Properties")
	source := find(properties, "SourceParameters", "DynamoDBStreamParameters")
	faults = append(faults, must(pipe.Name, source, map[string]string{
		"StartingPosition": "TRIM_HORIZON", "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
	})...)
	if rate := float64(pipe.Parallel*pipe.BatchSize) / putsTake.Seconds(); rate < shardWrites {
		fault("%s: %d batches of %d at once move %.0f events a second of a shard, which accepts %d writes", pipe.Name, pipe.Parallel, pipe.BatchSize, rate, shardWrites)
	}
	if pipe.BatchSize > mostEntries {
		fault("%s: PutEvents accepts %d events, a batch has %d", pipe.Name, mostEntries, pipe.BatchSize)
	}
	if pipe.MaxRetries < 1 || pipe.MaxRetries > mostRetries || pipe.MaxAge < time.Minute || pipe.MaxAge > streamKept/2 {
		fault("%s: %d retries within %v: an event is given up too soon, or blocks its shard until the stream drops it", pipe.Name, pipe.MaxRetries, pipe.MaxAge)
	}
	// A pipe's polls cost money, and some regions have no pipes.
	if ref(find(properties, "DesiredState")) != "RUNNING" || ref(find(p.Root(), "Resources", pipe.Name, "Condition")) != "SendsEvents" {
		fault("%s: it does not follow EventsOut", pipe.Name)
	}
	faults = append(faults, p.filtersTake(pipe)...)
	faults = append(faults, templateFits(pipe)...)
	faults = append(faults, p.pipeMay(pipe, ref(find(properties, "RoleArn")))...)
	bus := find(p.Root(), "Resources", pipe.Bus, "Properties")
	if ref(find(bus, "Name")) != "${AWS::StackName}" {
		fault("%s: its name is not the stack's", pipe.Bus)
	}
	archives := 0
	for id, n := range p.every("AWS::Events::Archive") {
		archives++
		faults = append(faults, must(id, n, map[string]string{
			"Condition": "Archived", "Properties/SourceArn": "${" + pipe.Bus + ".Arn}", "Properties/RetentionDays": "${EventArchiveDays}", "Properties/EventPattern": "",
		})...)
	}
	if archives != 1 {
		fault("there are %d archives instead of one", archives)
	}
	return faults
}

// filtersTake tries the filters with records of every kind.
func (p *proof) filtersTake(pipe template.Pipe) (faults []string) {
	c := pipe.Config
	made, err := pipes.New(c)
	if err != nil {
		return []string{err.Error()}
	}
	typeOf := map[string]string{"message": events.Received, "status": events.StatusChanged, "event": events.AccountEvent, "quarantine": events.Quarantined, "send": events.Outcome, "consent": events.ConsentChanged}
	for _, name := range []string{"INSERT", "MODIFY", "REMOVE"} {
		for kind := range map[string]bool{"message": true, "status": true, "event": true, "quarantine": true, "send": true, "consent": true, "part": true, "": true} {
			for _, detailType := range []string{"", typeOf[kind]} {
				image := map[string]any{"kind": map[string]string{"S": kind}}
				if detailType != "" {
					image["detail_type"] = map[string]string{"S": detailType}
				}
				record := map[string]any{"eventName": name, "dynamodb": map[string]any{"NewImage": image}}
				if name == "REMOVE" { // without a new image
					record["dynamodb"] = map[string]any{"Keys": image}
				}
				text, _ := json.Marshal(record)
				want := detailType != "" && (name == "INSERT" || name == "MODIFY" && (kind == "send" || kind == "consent"))
				if made.Matches(text) != want {
					faults = append(faults, fmt.Sprintf("%s of kind %q with detail type %q: it is accepted: %t", name, kind, detailType, !want))
				}
			}
		}
	}
	for _, name := range events.DetailTypes {
		kind := "message"
		for k, v := range typeOf {
			if v == name {
				kind = k
			}
		}
		text := fmt.Sprintf(`{"eventName":"INSERT","dynamodb":{"NewImage":{"kind":{"S":%q},"detail_type":{"S":%q}}}}`, kind, name)
		e, err := made.Entry([]byte(text))
		if !made.Matches([]byte(text)) || err != nil || e.DetailType != name {
			faults = append(faults, fmt.Sprintf("%s is not accepted, or is named %q: %v", name, e.DetailType, err))
		}
	}
	return faults
}

// templateFits: each value is placed alone between quotes, where its absence leaves valid JSON; the
// members are those of the schema, and none is internal to the table.
func templateFits(pipe template.Pipe) (faults []string) {
	text := pipe.InputTemplate
	if len(text) > templateMost {
		faults = append(faults, fmt.Sprintf("the input template has %d characters, AWS accepts %d", len(text), templateMost))
	}
	var members map[string]string
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return append(faults, "the input template is not a JSON object of strings: "+err.Error())
	}
	if got, want := slices.Sorted(maps.Keys(members)), slices.Sorted(slices.Values(schema.Members())); !slices.Equal(got, want) {
		faults = append(faults, fmt.Sprintf("the input template has %v, the schema %v", got, want))
	}
	attribute := regexp.MustCompile(`^(<\$\.dynamodb\.NewImage\.[a-z_]+\.(S|N|BOOL)>)+$`)
	for name, value := range members {
		if !attribute.MatchString(value) {
			faults = append(faults, fmt.Sprintf("%s: %s is not a single attribute", name, value))
		}
		for _, secret := range neverOut {
			if strings.Contains(value, "."+secret+".") {
				faults = append(faults, fmt.Sprintf("%s: %s must not leave the table", name, secret))
			}
		}
	}
	return faults
}

// grantedBy returns what a role's own policies allow, as "action on resource".
func grantedBy(role *yaml.Node) map[string]bool {
	granted := map[string]bool{}
	for _, policy := range list(find(role, "Policies")) {
		for _, s := range list(find(policy, "PolicyDocument", "Statement")) {
			for _, action := range list(find(s, "Action")) {
				for _, resource := range list(find(s, "Resource")) {
					granted[action.Value+" on "+ref(resource)] = true
				}
			}
		}
	}
	return granted
}

// pipeMay: the pipe's role is the pipe's alone, and may do what its source, target and dead-letter
// queue need (Amazon EventBridge: "Event source permissions for Amazon EventBridge Pipes").
func (p *proof) pipeMay(pipe template.Pipe, roleReference string) (faults []string) {
	fault := func(format string, args ...any) {
		faults = append(faults, "PipeRole: "+fmt.Sprintf(format, args...))
	}
	stream := "${" + pipe.Table + ".StreamArn}"
	needed := map[string]bool{
		"dynamodb:DescribeStream on " + stream: true, "dynamodb:GetRecords on " + stream: true,
		"dynamodb:GetShardIterator on " + stream: true, "dynamodb:ListStreams on " + stream: true,
		"kms:Decrypt on ${KmsKeyArn}": true, "kms:GenerateDataKey on ${KmsKeyArn}": true, // of the stream and the queue: see keyed
		"events:PutEvents on ${" + pipe.Bus + ".Arn}": true, "sqs:SendMessage on ${" + pipe.DeadLetterQueue + ".Arn}": true,
	}
	id, ok := p.refersTo(roleReference, "Arn", "AWS::IAM::Role")
	if !ok {
		return []string{"the pipe's role is not in this template"}
	}
	role := find(p.Root(), "Resources", id, "Properties")
	trust := list(find(role, "AssumeRolePolicyDocument", "Statement"))
	if len(trust) != 1 || ref(find(trust[0], "Principal", "Service")) != "pipes.amazonaws.com" ||
		ref(find(trust[0], "Condition", "StringEquals", "aws:SourceAccount")) != "${AWS::AccountId}" {
		fault("it must be assumable by this account's pipes alone")
	}
	if find(role, "ManagedPolicyArns") != nil {
		fault("it has permissions besides those of its own policies")
	}
	granted := grantedBy(role)
	for grant := range needed {
		if !granted[grant] {
			fault("%s is not granted", grant)
		}
	}
	for grant := range granted {
		if !needed[grant] {
			fault("%s is granted and not used", grant)
		}
	}
	return faults
}
