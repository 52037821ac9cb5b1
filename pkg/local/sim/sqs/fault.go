package sqs

import (
	"encoding/json"
	"net/http"
)

// fault is an error as SQS tells it: a shape for clients of the JSON protocol and the
// older query code beside it (AWS: SQS API Reference, Common Errors).
type fault struct {
	shape, query, message string
}

const (
	sqsShape   = "com.amazonaws.sqs#"
	coralShape = "com.amazon.coral.service#"
	oldQuery   = "AWS.SimpleQueueService."
)

func invalid(message string) *fault {
	return &fault{coralShape + "InvalidParameterValueException", "InvalidParameterValue", message}
}

func missing(parameter string) *fault {
	return &fault{coralShape + "MissingRequiredParameterException", "MissingParameter", "The request must contain the parameter " + parameter + "."}
}

// sqsFault is one whose query code is the shape under SQS's own prefix.
func sqsFault(name, message string) *fault {
	return &fault{sqsShape + name, oldQuery + name, message}
}

func noQueue() *fault {
	return &fault{sqsShape + "QueueDoesNotExist", oldQuery + "NonExistentQueue", "The specified queue does not exist."}
}

func badHandle() *fault {
	return &fault{sqsShape + "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", "The input receipt handle is invalid."}
}

func noResource(message string) *fault {
	return &fault{sqsShape + "ResourceNotFoundException", "ResourceNotFoundException", message}
}

func (f *fault) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Query-Error", f.query+";Sender")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": f.shape, "message": f.message})
}
