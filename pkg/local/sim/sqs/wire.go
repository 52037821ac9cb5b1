package sqs

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	target      = "AmazonSQS."
	maxRequest  = 8 << 20 // ten bodies of which JSON escapes each character, and then some
	contentType = "application/x-amz-json-1.0"
)

// input has the members of all actions; each reads its own.
type input struct {
	QueueUrl, QueueName, QueueNamePrefix string
	entry
	Entries []entry

	AttributeNames, MessageSystemAttributeNames, MessageAttributeNames []string
	MaxNumberOfMessages, WaitTimeSeconds                               *int
	SourceArn, DestinationArn                                          string
}

// entry is one message of an action, alone or in a batch.
type entry struct {
	Id                      string
	MessageBody             *string
	DelaySeconds            *int
	MessageAttributes       map[string]attribute
	MessageSystemAttributes map[string]attribute
	MessageGroupId          string
	ReceiptHandle           string
	VisibilityTimeout       *int
}

type output map[string]any

// ServeHTTP speaks AWS JSON 1.0, as the SDKs and the CLI do. The header that names the
// action keeps pages in a browser from sending messages.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.away.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if !ok || r.Method != http.MethodPost {
		(&fault{coralShape + "UnknownOperationException", "InvalidAction", "The action is not known."}).write(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	var in input
	if err != nil || json.Unmarshal(body, &in) != nil {
		(&fault{coralShape + "SerializationException", "MalformedInput", "The request cannot be read."}).write(w)
		return
	}
	out, bad := s.serve(r, action, in)
	if bad != nil {
		bad.write(w)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-RequestId", newID())
	_ = json.NewEncoder(w).Encode(out)
}

func (s *Server) serve(r *http.Request, action string, in input) (output, *fault) {
	switch action {
	case "ListQueues":
		return s.list(r, in), nil
	case "GetQueueUrl":
		return s.find(r, in)
	case "StartMessageMoveTask":
		return s.move(in)
	}
	s.mu.Lock()
	q := s.queues[nameOf(in.QueueUrl)]
	if action == "ReceiveMessage" {
		s.mu.Unlock() // it waits
		if q == nil {
			return nil, noQueue()
		}
		return s.receiveMessage(r, q, in)
	}
	defer s.mu.Unlock()
	if q == nil {
		return nil, noQueue()
	}
	switch action {
	case "SendMessage":
		return s.send(q, in.entry)
	case "DeleteMessage":
		return output{}, s.remove(q, in.entry)
	case "ChangeMessageVisibility":
		return output{}, s.change(q, in.entry)
	case "SendMessageBatch":
		return s.batch(in.Entries, true, func(e entry) (output, *fault) { return s.send(q, e) })
	case "DeleteMessageBatch":
		return s.batch(in.Entries, false, func(e entry) (output, *fault) { return output{}, s.remove(q, e) })
	case "ChangeMessageVisibilityBatch":
		return s.batch(in.Entries, false, func(e entry) (output, *fault) { return output{}, s.change(q, e) })
	case "GetQueueAttributes":
		return s.attributes(q, in)
	case "PurgeQueue":
		q.clear()
		return output{}, nil
	}
	return nil, &fault{sqsShape + "UnsupportedOperation", oldQuery + "UnsupportedOperation", "Not served here: " + action}
}

// nameOf takes a queue's name from its URL, wherever that points.
func nameOf(queueURL string) string {
	u, err := url.Parse(queueURL)
	if err != nil {
		return ""
	}
	return path.Base(u.Path)
}

func nameOfARN(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

func (s *Server) list(r *http.Request, in input) output {
	s.mu.Lock()
	defer s.mu.Unlock()
	var urls []string
	for _, name := range slices.Sorted(maps.Keys(s.queues)) {
		if strings.HasPrefix(name, in.QueueNamePrefix) {
			urls = append(urls, queueURL("http://"+r.Host, name))
		}
	}
	if urls == nil {
		return output{}
	}
	return output{"QueueUrls": urls}
}

func (s *Server) find(r *http.Request, in input) (output, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queues[in.QueueName] == nil {
		return nil, noQueue()
	}
	return output{"QueueUrl": queueURL("http://"+r.Host, in.QueueName)}, nil
}

func (s *Server) attributes(q *queue, in input) (output, *fault) {
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
	}
	if q.DeadLetter != "" {
		policy, _ := json.Marshal(map[string]any{"deadLetterTargetArn": ARN(q.DeadLetter), "maxReceiveCount": q.MaxReceiveCount})
		all["RedrivePolicy"] = string(policy)
	}
	kept := map[string]string{}
	for _, name := range in.AttributeNames {
		if name == "All" {
			return output{"Attributes": all}, nil
		}
		if v, ok := all[name]; ok {
			kept[name] = v
		} else if name != "RedrivePolicy" {
			return nil, &fault{sqsShape + "InvalidAttributeName", "InvalidAttributeName", "Unknown Attribute " + name + "."}
		}
	}
	return output{"Attributes": kept}, nil
}

func (s *Server) receiveMessage(r *http.Request, q *queue, in input) (output, *fault) {
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
	out := output{}
	asked := slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)
	s.receive(r.Context(), q, limit, visibility, time.Duration(wait)*time.Second, func(got []*message) {
		var all []output
		for _, m := range got {
			all = append(all, m.wire(asked, in.MessageAttributeNames))
		}
		if all != nil {
			out["Messages"] = all
		}
	})
	return out, nil
}

func (m *message) wire(system, names []string) output {
	out := output{"MessageId": m.id, "ReceiptHandle": m.handle(), "MD5OfBody": md5Hex([]byte(m.body)), "Body": m.body}
	kept := map[string]string{}
	for name, value := range m.system() {
		if slices.Contains(system, name) || slices.Contains(system, "All") {
			kept[name] = value
		}
	}
	if len(kept) > 0 {
		out["Attributes"] = kept
	}
	if attributes := selected(m.attributes, names); len(attributes) > 0 {
		out["MessageAttributes"] = attributes
		out["MD5OfMessageAttributes"] = md5Attributes(attributes)
	}
	return out
}
