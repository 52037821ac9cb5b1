package sqs

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// attribute is a message attribute as the wire has it.
type attribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`
}

func (a attribute) size(name string) int {
	n := len(name) + len(a.DataType) + len(a.BinaryValue)
	if a.StringValue != nil {
		n += len(*a.StringValue)
	}
	return n
}

func checkAttributes(all map[string]attribute) *fault {
	if len(all) > maxBatch {
		return invalid("Number of message attributes [" + strconv.Itoa(len(all)) + "] exceeds the allowed maximum [10].")
	}
	for name, a := range all {
		kind, _, _ := strings.Cut(a.DataType, ".")
		isBinary := kind == "Binary"
		switch {
		case name == "" || len(name) > 256:
			return invalid("Message attribute name must be 1 to 256 characters.")
		case kind != "String" && kind != "Number" && !isBinary:
			return invalid("The message attribute '" + name + "' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.")
		case isBinary && len(a.BinaryValue) == 0, !isBinary && (a.StringValue == nil || *a.StringValue == ""):
			return invalid("The message attribute '" + name + "' must contain a non-empty message attribute value for message attribute type '" + kind + "'.")
		}
	}
	return nil
}

func md5Hex(b []byte) string {
	sum := md5.Sum(b) // the protocol's own checksum, no security
	return hex.EncodeToString(sum[:])
}

// md5Attributes is AWS's digest over sorted attributes (AWS: Calculating the MD5
// message digest for message attributes); empty without any.
func md5Attributes(all map[string]attribute) string {
	if len(all) == 0 {
		return ""
	}
	var b []byte
	put := func(v []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
		b = append(b, v...)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a := all[name]
		put([]byte(name))
		put([]byte(a.DataType))
		if strings.HasPrefix(a.DataType, "Binary") {
			b = append(b, 2)
			put(a.BinaryValue)
		} else {
			b = append(b, 1)
			put([]byte(*a.StringValue))
		}
	}
	return md5Hex(b)
}

// selected returns the attributes that were asked for: by name, prefix.*, .* or All.
func selected(all map[string]attribute, asked []string) map[string]attribute {
	kept := map[string]attribute{}
	for name, a := range all {
		for _, pattern := range asked {
			prefix, isPrefix := strings.CutSuffix(pattern, ".*")
			if pattern == "All" || pattern == ".*" || pattern == name || isPrefix && strings.HasPrefix(name, prefix+".") {
				kept[name] = a
			}
		}
	}
	return kept
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// system returns the attributes that SQS itself gives a message.
func (m *message) system() map[string]string {
	all := map[string]string{
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"ApproximateFirstReceiveTimestamp": millis(m.first),
		"SentTimestamp":                    millis(m.sent),
		"SenderId":                         account,
	}
	if m.trace != "" {
		all["AWSTraceHeader"] = m.trace
	}
	if m.source != "" {
		all["DeadLetterQueueSourceArn"] = ARN(m.source)
	}
	return all
}
