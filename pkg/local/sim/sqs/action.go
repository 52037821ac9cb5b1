package sqs

import (
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"
)

var entryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// The actions below expect the lock to be held.

func (s *Server) send(q *queue, e entry) (output, *fault) {
	if e.MessageBody == nil || *e.MessageBody == "" {
		return nil, missing("MessageBody")
	}
	if e.MessageGroupId != "" && !entryID.MatchString(e.MessageGroupId) {
		return nil, invalid("The parameter MessageGroupId is invalid.")
	}
	delay := q.Delay
	if e.DelaySeconds != nil {
		delay = time.Duration(*e.DelaySeconds) * time.Second
	}
	if delay < 0 || delay > maxDelay {
		return nil, invalid("Value " + strconv.Itoa(*e.DelaySeconds) + " for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.")
	}
	if bad := checkAttributes(e.MessageAttributes); bad != nil {
		return nil, bad
	}
	if e.size() > maxMessageBytes {
		return nil, invalid("One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.")
	}
	if !allowed(*e.MessageBody) {
		return nil, &fault{sqsShape + "InvalidMessageContents", "InvalidMessageContents", "Invalid characters found in the message body. Valid: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."}
	}
	now := s.now()
	m := &message{id: newID(), body: *e.MessageBody, attributes: e.MessageAttributes, sent: now, visibleAt: now.Add(delay)}
	out := output{"MessageId": m.id, "MD5OfMessageBody": md5Hex([]byte(m.body))}
	if digest := md5Attributes(m.attributes); digest != "" {
		out["MD5OfMessageAttributes"] = digest
	}
	if trace := e.MessageSystemAttributes["AWSTraceHeader"]; trace.StringValue != nil {
		m.trace = *trace.StringValue
		out["MD5OfMessageSystemAttributes"] = md5Attributes(map[string]attribute{"AWSTraceHeader": trace})
	}
	q.add(m)
	s.wake()
	return out, nil
}

func (e entry) size() int {
	n := 0
	if e.MessageBody != nil {
		n = len(*e.MessageBody)
	}
	for name, a := range e.MessageAttributes {
		n += a.size(name)
	}
	return n
}

func allowed(body string) bool {
	for _, r := range body {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return utf8.ValidString(body)
}

// remove deletes a message. An old receipt handle succeeds and deletes nothing (AWS:
// DeleteMessage); so does one of a message that is gone.
func (s *Server) remove(q *queue, e entry) *fault {
	m, current, wellFormed := q.find(e.ReceiptHandle)
	if !wellFormed {
		return badHandle()
	}
	if current {
		q.remove(m)
	}
	return nil
}

// change sets when a message that is in flight becomes visible again.
func (s *Server) change(q *queue, e entry) *fault {
	if e.VisibilityTimeout == nil {
		return missing("VisibilityTimeout")
	}
	m, current, wellFormed := q.find(e.ReceiptHandle)
	now, visibility := s.now(), time.Duration(*e.VisibilityTimeout)*time.Second
	switch {
	case !wellFormed:
		return badHandle()
	case visibility < 0 || visibility > maxVisibility:
		return invalid("Value " + strconv.Itoa(*e.VisibilityTimeout) + " for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200.")
	case m == nil:
		return invalid("Value " + e.ReceiptHandle + " for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.")
	case !current || !m.inFlight || !m.visibleAt.After(now):
		return sqsFault("MessageNotInflight", "The specified message isn't in flight.")
	case now.Add(visibility).Sub(m.received) > maxVisibility:
		return invalid("Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
	}
	m.visibleAt = now.Add(visibility)
	if visibility == 0 {
		m.inFlight = false
	}
	s.wake()
	return nil
}

// batch runs an action for each entry; faults of one leave the others.
func (s *Server) batch(entries []entry, bounded bool, run func(entry) (output, *fault)) (output, *fault) {
	if len(entries) == 0 {
		return nil, sqsFault("EmptyBatchRequest", "There should be at least one entry in the request.")
	}
	if len(entries) > maxBatch {
		return nil, sqsFault("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent "+strconv.Itoa(len(entries))+".")
	}
	seen, size := map[string]bool{}, 0
	for _, e := range entries {
		if !entryID.MatchString(e.Id) {
			return nil, sqsFault("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[e.Id] {
			return nil, sqsFault("BatchEntryIdsNotDistinct", "Id "+e.Id+" repeated.")
		}
		seen[e.Id] = true
		size += e.size()
	}
	if bounded && size > maxMessageBytes {
		return nil, sqsFault("BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes. You have sent "+strconv.Itoa(size)+" bytes.")
	}
	successful, failed := []output{}, []output{}
	for _, e := range entries {
		out, bad := run(e)
		if bad != nil {
			failed = append(failed, output{"Id": e.Id, "Code": bad.query, "Message": bad.message, "SenderFault": true})
			continue
		}
		out["Id"] = e.Id
		successful = append(successful, out)
	}
	return output{"Successful": successful, "Failed": failed}, nil
}

// move is StartMessageMoveTask: dead letters go back to where they came from, or to
// the destination, each as a new message (AWS: Dead-letter queue redrive). Unlike in
// AWS it is done when the answer comes.
func (s *Server) move(in input) (output, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.queues[nameOfARN(in.SourceArn)]
	if from == nil {
		return nil, noResource("The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	isDeadLetter := false
	for _, q := range s.queues {
		isDeadLetter = isDeadLetter || q.DeadLetter == from.Name
	}
	if !isDeadLetter {
		return nil, invalid("Source queue must be configured as a Dead Letter Queue.")
	}
	if in.DestinationArn != "" && s.queues[nameOfARN(in.DestinationArn)] == nil {
		return nil, noResource("The resource that you specified for the DestinationArn parameter doesn't exist.")
	}
	now := s.now()
	from.expire(now)
	for _, m := range append([]*message{}, from.messages...) {
		to := s.queues[nameOfARN(in.DestinationArn)]
		if in.DestinationArn == "" {
			to = s.queues[m.source]
		}
		if to == nil || m.visibleAt.After(now) {
			continue // nobody knows where it came from, or a reader has it
		}
		from.remove(m)
		to.add(&message{id: newID(), body: m.body, attributes: m.attributes, trace: m.trace, sent: now, visibleAt: now})
	}
	s.wake()
	return output{"TaskHandle": newID()}, nil
}
