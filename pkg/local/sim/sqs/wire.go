package sqs

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/local/sim/awsjson"
)

var service = awsjson.Service{
	Target: "AmazonSQS.", Version: "1.0", Namespace: coralShape, Queries: true,
	MaxRequest: 6*maxMessageBytes + 64<<10, // JSON escapes each byte with at most six
	TooLarge:   invalid("One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes."),
}

// input holds the members of all actions' requests; each action reads its own.
type input struct {
	QueueUrl, QueueName                         string
	MessageBody                                 *string
	DelaySeconds                                *int
	MessageAttributes, MessageSystemAttributes  map[string]json.RawMessage
	MessageGroupId, MessageDeduplicationId      string
	ReceiptHandle                               string
	VisibilityTimeout                           *int
	AttributeNames, MessageSystemAttributeNames []string
	MaxNumberOfMessages, WaitTimeSeconds        *int
	SourceArn, DestinationArn                   string
	Id                                          string // of an entry
	Entries                                     []input
}

type output map[string]any

// ServeHTTP is the endpoint.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.away.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	awsjson.Serve(w, r, service, func(action string, in input) (any, *awsjson.Fault) {
		act, known := map[string]func(*queue, input) (output, *awsjson.Fault){
			"SendMessage":                  s.send,
			"DeleteMessage":                func(q *queue, in input) (output, *awsjson.Fault) { return output{}, s.remove(q, in) },
			"ChangeMessageVisibility":      func(q *queue, in input) (output, *awsjson.Fault) { return output{}, s.change(q, in) },
			"ChangeMessageVisibilityBatch": s.changeBatch,
			"GetQueueAttributes":           s.attributes,
			"PurgeQueue":                   func(q *queue, _ input) (output, *awsjson.Fault) { q.clear(); return output{}, nil },
			"ReceiveMessage":               nil, // it waits without the lock
		}[action]
		switch {
		case action == "GetQueueUrl":
			return s.find(r, in)
		case action == "StartMessageMoveTask":
			return s.move(in)
		case !known:
			return nil, service.UnknownOperation(action)
		}
		s.mu.Lock()
		q := s.queues[nameOf(in.QueueUrl)]
		if q == nil || act == nil {
			s.mu.Unlock()
			if q == nil {
				return nil, noQueue()
			}
			return s.receiveMessage(r, q, in)
		}
		defer s.mu.Unlock()
		return act(q, in)
	})
}

// nameOf returns the queue's name from its URL, regardless of the URL's host.
func nameOf(queueURL string) string {
	u, err := url.Parse(queueURL)
	if err != nil {
		return ""
	}
	return path.Base(u.Path)
}

func nameOfARN(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

func (s *Server) find(r *http.Request, in input) (output, *awsjson.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queues[in.QueueName] == nil {
		return nil, noQueue()
	}
	return output{"QueueUrl": queueURL("http://"+r.Host, in.QueueName)}, nil
}

// unsetAttributes lists attributes that a queue here never has, or not always (AWS API reference:
// GetQueueAttributes).
var unsetAttributes = []string{
	"All", "Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds",
	"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit",
}

func (s *Server) attributes(q *queue, in input) (output, *awsjson.Fault) {
	d := q.depth(s.now())
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	all := map[string]string{
		"QueueArn":                              ARN(q.Name),
		"ApproximateNumberOfMessages":           strconv.Itoa(d.Visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(d.InFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(d.Delayed),
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.created.Unix(), 10),
		"VisibilityTimeout":                     seconds(q.VisibilityTimeout),
		"DelaySeconds":                          seconds(q.Delay),
		"MessageRetentionPeriod":                seconds(q.Retention),
		"MaximumMessageSize":                    strconv.Itoa(maxMessageBytes),
		"ReceiveMessageWaitTimeSeconds":         "0",
		"SqsManagedSseEnabled":                  "true", // for a queue without a KMS key
	}
	if q.DeadLetter != "" {
		policy, _ := json.Marshal(map[string]any{"deadLetterTargetArn": ARN(q.DeadLetter), "maxReceiveCount": q.MaxReceiveCount})
		all["RedrivePolicy"] = string(policy)
	}
	kept := map[string]string{}
	for _, name := range in.AttributeNames {
		if _, set := all[name]; !set && !slices.Contains(unsetAttributes, name) {
			return nil, unknownAttribute(name)
		}
	}
	for name, value := range all {
		if slices.Contains(in.AttributeNames, name) || slices.Contains(in.AttributeNames, "All") {
			kept[name] = value
		}
	}
	if len(kept) == 0 {
		return output{}, nil
	}
	return output{"Attributes": kept}, nil
}

func (s *Server) receiveMessage(r *http.Request, q *queue, in input) (output, *awsjson.Fault) {
	limit, wait, visibility := 1, 0, q.VisibilityTimeout
	if in.MaxNumberOfMessages != nil {
		limit = *in.MaxNumberOfMessages
	}
	if in.WaitTimeSeconds != nil {
		wait = *in.WaitTimeSeconds
	}
	if in.VisibilityTimeout != nil {
		visibility = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	switch {
	case limit < 1 || limit > maxBatch:
		return nil, invalid("Value " + strconv.Itoa(limit) + " for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.")
	case wait < 0 || time.Duration(wait)*time.Second > maxWait:
		return nil, invalid("Value " + strconv.Itoa(wait) + " for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.")
	case visibility < 0 || visibility > maxVisibility:
		return nil, invalid("The parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200, if provided.")
	}
	asked := slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)
	for _, name := range asked {
		if !slices.Contains(systemAttributes, name) {
			return nil, unknownAttribute(name)
		}
	}
	out := output{}
	s.receive(r.Context(), q, limit, visibility, time.Duration(wait)*time.Second, func(got []*message) {
		var all []output
		for _, m := range got {
			all = append(all, m.wire(asked))
		}
		if all != nil {
			out["Messages"] = all
		}
	})
	return out, nil
}

func (m *message) wire(asked []string) output {
	out := output{"MessageId": m.id, "ReceiptHandle": m.handle(), "MD5OfBody": md5Hex(m.body), "Body": m.body}
	kept := map[string]string{}
	for name, value := range m.system() {
		if slices.Contains(asked, name) || slices.Contains(asked, "All") {
			kept[name] = value
		}
	}
	if len(kept) > 0 {
		out["Attributes"] = kept
	}
	return out
}
