package sqs

import (
	"crypto/md5"
	"encoding/hex"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"connexease-functions/pkg/local/sim/awsjson"
	"connexease-functions/pkg/local/sim/uuid"
)

// groupID matches a fair queue's message group ids: letters, digits and punctuation.
var groupID = regexp.MustCompile(`^[!-~]{1,128}$`)

// The actions below expect the lock to be held.

func (s *Server) send(q *queue, e input) (output, *awsjson.Fault) {
	if e.MessageBody == nil || *e.MessageBody == "" {
		return nil, missing("MessageBody")
	}
	if e.MessageGroupId != "" && !groupID.MatchString(e.MessageGroupId) {
		return nil, invalid("The parameter MessageGroupId is invalid.")
	}
	if e.MessageDeduplicationId != "" {
		return nil, invalid("Value " + e.MessageDeduplicationId + " for parameter MessageDeduplicationId is invalid. Reason: The request include parameter that is not valid for this queue type.")
	}
	if len(e.MessageAttributes) > 0 || len(e.MessageSystemAttributes) > 0 {
		return nil, sqsFault("UnsupportedOperation", "This endpoint does not support message attributes.")
	}
	delay := q.Delay
	if e.DelaySeconds != nil {
		delay = time.Duration(*e.DelaySeconds) * time.Second
	}
	if delay < 0 || delay > maxDelay {
		return nil, invalid("Value " + strconv.Itoa(*e.DelaySeconds) + " for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.")
	}
	if len(*e.MessageBody) > maxMessageBytes {
		return nil, invalid("One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.")
	}
	if !allowed(*e.MessageBody) {
		return nil, namedFault("InvalidMessageContents", "Invalid characters found in the message body. Valid: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.")
	}
	now := s.now()
	m := &message{id: uuid.New(), body: *e.MessageBody, sent: now, visibleAt: now.Add(delay)}
	q.add(m)
	s.wake()
	return output{"MessageId": m.id, "MD5OfMessageBody": md5Hex(m.body)}, nil
}

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text)) // the protocol's checksum, not used for security
	return hex.EncodeToString(sum[:])
}

func allowed(body string) bool {
	for _, r := range body {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return utf8.ValidString(body)
}

// remove deletes a message. With an old receipt handle, or one of a deleted message, it succeeds
// and deletes nothing (AWS: DeleteMessage).
func (s *Server) remove(q *queue, e input) *awsjson.Fault {
	m, current, wellFormed := q.find(e.ReceiptHandle)
	if !wellFormed {
		return badHandle()
	}
	if current {
		q.remove(m)
	}
	return nil
}

// change sets when an in-flight message becomes visible again.
func (s *Server) change(q *queue, e input) *awsjson.Fault {
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

// changeBatch changes several, and says of each what became of it.
func (s *Server) changeBatch(q *queue, in input) (output, *awsjson.Fault) {
	if len(in.Entries) == 0 {
		return nil, sqsFault("EmptyBatchRequest", "There should be at least one ChangeMessageVisibilityBatchRequestEntry in the request.")
	}
	if len(in.Entries) > maxBatch {
		return nil, sqsFault("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent "+strconv.Itoa(len(in.Entries))+".")
	}
	seen, changed, failed := map[string]bool{}, []output{}, []output{}
	for _, e := range in.Entries {
		if seen[e.Id] {
			return nil, sqsFault("BatchEntryIdsNotDistinct", "Id "+e.Id+" repeated.")
		}
		seen[e.Id] = true
	}
	for _, e := range in.Entries {
		if fault := s.change(q, e); fault != nil {
			failed = append(failed, output{"Id": e.Id, "SenderFault": true, "Code": fault.Query, "Message": fault.Message})
		} else {
			changed = append(changed, output{"Id": e.Id})
		}
	}
	return output{"Successful": changed, "Failed": failed}, nil
}

// move is StartMessageMoveTask: dead-lettered messages return to their source queue, or move to the
// destination, each as a new message (AWS: Dead-letter queue redrive). Unlike in AWS, the move is
// complete when the call returns.
func (s *Server) move(in input) (output, *awsjson.Fault) {
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
			continue // its source is unknown, or it is in flight
		}
		from.remove(m)
		to.add(&message{id: uuid.New(), body: m.body, sent: now, visibleAt: now})
	}
	s.wake()
	return output{"TaskHandle": uuid.New()}, nil
}
