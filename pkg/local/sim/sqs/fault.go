package sqs

import "connexease-functions/pkg/local/sim/awsjson"

const (
	sqsShape   = "com.amazonaws.sqs#"
	coralShape = "com.amazon.coral.service#"
	oldQuery   = "AWS.SimpleQueueService."
)

func invalid(message string) *awsjson.Fault {
	return &awsjson.Fault{Type: coralShape + "InvalidParameterValueException", Query: "InvalidParameterValue", Message: message}
}

func missing(parameter string) *awsjson.Fault {
	return &awsjson.Fault{Type: coralShape + "MissingRequiredParameterException", Query: "MissingParameter", Message: "The request must contain the parameter " + parameter + "."}
}

// sqsFault returns a fault whose query code is the shape under SQS's own prefix.
func sqsFault(name, message string) *awsjson.Fault {
	return &awsjson.Fault{Type: sqsShape + name, Query: oldQuery + name, Message: message}
}

// namedFault returns a fault whose query code is the shape alone.
func namedFault(name, message string) *awsjson.Fault {
	return &awsjson.Fault{Type: sqsShape + name, Query: name, Message: message}
}

func noQueue() *awsjson.Fault {
	return &awsjson.Fault{Type: sqsShape + "QueueDoesNotExist", Query: oldQuery + "NonExistentQueue", Message: "The specified queue does not exist."}
}

func badHandle() *awsjson.Fault {
	return namedFault("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
}

func noResource(message string) *awsjson.Fault {
	return namedFault("ResourceNotFoundException", message)
}

func unknownAttribute(name string) *awsjson.Fault {
	return namedFault("InvalidAttributeName", "Unknown Attribute "+name+".")
}
