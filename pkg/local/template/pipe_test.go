package template

import (
	"strings"
	"testing"
	"time"
)

func TestThePipeIsReadFromTheTemplate(t *testing.T) {
	tpl, err := Load("../../../template.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	pipes, err := tpl.Pipes()
	if err != nil || len(pipes) != 1 {
		t.Fatalf("%d pipes, %v", len(pipes), err)
	}
	p := pipes[0]
	if p.Name != "EventPipe" || p.Table != "EventsTable" || p.Bus != "EventBus" || p.DeadLetterQueue != "EventDeadLetters" || p.BatchSize != 10 || p.Parallel != 10 ||
		p.MaxRetries != 20 || p.MaxAge != time.Hour || len(p.Filters) != 3 || p.Source != "connexease" || p.DetailType != "$.dynamodb.NewImage.detail_type.S" {
		t.Errorf("got %+v", p)
	}
}

func TestAStoppedPipeIsSkipped(t *testing.T) {
	tpl, err := Load("../../../template.yaml", map[string]string{"EventsOut": "no"})
	if err != nil {
		t.Fatal(err)
	}
	if pipes, err := tpl.Pipes(); err != nil || len(pipes) != 0 {
		t.Errorf("%d pipes run, %v", len(pipes), err)
	}
}

func TestAnUnsupportedPipeIsOneSentenceWithItsLine(t *testing.T) {
	const before = "Resources:\n  T: {Type: AWS::DynamoDB::Table}\n  B: {Type: AWS::Events::EventBus}\n  Q: {Type: AWS::SQS::Queue}\n  P:\n    Type: AWS::Pipes::Pipe\n    Properties:\n      Target: !GetAtt B.Arn\n      TargetParameters: {EventBridgeEventBusParameters: {Source: s}}\n"
	for text, want := range map[string]string{
		"      Source: !GetAtt T.StreamArn\n": ":6: pipe P: only one from a DynamoDB stream to an event bus is supported on a laptop",
		"      Source: !GetAtt T.Arn\n      SourceParameters: {DynamoDBStreamParameters: {MaximumRetryAttempts: 1}}\n":                                                                                                               ":10: Source must be !GetAtt <resource>.StreamArn",
		"      Source: !GetAtt Q.StreamArn\n      SourceParameters: {DynamoDBStreamParameters: {MaximumRetryAttempts: 1}}\n":                                                                                                         ":10: Q is not an AWS::DynamoDB::Table of this template",
		"      Source: !GetAtt T.StreamArn\n      SourceParameters: {DynamoDBStreamParameters: {DeadLetterConfig: {Arn: !GetAtt Q.Arn}}}\n":                                                                                          ":11: pipe P: without bounds one record can block its shard for a day",
		"      Source: !GetAtt T.StreamArn\n      SourceParameters: {DynamoDBStreamParameters: {BatchSize: soon, DeadLetterConfig: {Arn: !GetAtt Q.Arn}}}\n":                                                                         ":11: BatchSize is not a whole number",
		"      Source: !GetAtt T.StreamArn\n      SourceParameters: {DynamoDBStreamParameters: {MaximumRetryAttempts: 1, MaximumRecordAgeInSeconds: 60, ParallelizationFactor: 11, DeadLetterConfig: {Arn: !GetAtt Q.Arn}}}\n":       ":11: pipe P: ParallelizationFactor must be 1 to 10",
		"      Source: !GetAtt T.StreamArn\n      SourceParameters: {FilterCriteria: {Filters: [{}]}, DynamoDBStreamParameters: {MaximumRetryAttempts: 1, MaximumRecordAgeInSeconds: 60, DeadLetterConfig: {Arn: !GetAtt Q.Arn}}}\n": ":11: a filter has no Pattern",
	} {
		if _, err := load(t, before+text).Pipes(); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v, want …%s", text, err, want)
		}
	}
}
