package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"connexease-functions/pkg/local/pause"
)

// States of a mapping (AWS: Lambda API Reference, EventSourceMappingConfiguration).
const (
	mappingEnabled  = "Enabled"
	mappingDisabled = "Disabled"
)

// flow enables or disables the mapping of the queue that the campaign waits in, and returns once
// that is so.
func (c *campaign) flow(ctx context.Context, t *target, enable bool) error {
	queue := cmp.Or(c.queue, t.lane())
	m, err := t.mapping(ctx, queue)
	if err != nil {
		return err
	}
	want, is := mappingEnabled, "enabled: what waits in "+queue+" is sent"
	if !enable {
		want, is = mappingDisabled, "disabled: nothing of "+queue+" is sent. Undo it with resume"
		if aws.ToString(m.State) != want && !c.confirm(fmt.Sprintf("This disables the mapping %s of %s: campaign %s and everything else that waits there stops until it is resumed, "+
			"and expires when its validity ends. What waits in other queues, and HTTP requests that wait for their response, go on. Type %s to pause it: ",
			aws.ToString(m.UUID), queue, c.name, c.name), c.name) {
			return errors.New("nothing was paused")
		}
	}
	shown := c.progress("Waiting for the mapping", 0)
	defer shown.end()
	for asked := false; aws.ToString(m.State) != want; {
		if !asked {
			_, err := t.lambda().UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: &enable})
			// One that is changing already is asked again.
			if changing := new(types.ResourceInUseException); err != nil && !errors.As(err, &changing) {
				return fmt.Errorf("the mapping of %s was not changed: %w", queue, why(err))
			}
			asked = err == nil
		}
		if err := pause.For(ctx, poll); err != nil {
			return fmt.Errorf("the mapping of %s is changing, and was not waited for: %w", queue, err)
		}
		if m, err = t.mapping(ctx, queue); err != nil {
			return err
		}
	}
	c.printf("The mapping %s of %s is %s.\n", aws.ToString(m.UUID), queue, is)
	return nil
}

// lane returns the logical name of the queue that campaigns wait in: the bulk lane's where there is
// one, as on the laptop.
func (t *target) lane() string {
	if t.local() || t.resources[bulkQueue] != "" {
		return bulkQueue
	}
	return outboundQueue
}

// mapping returns the event source mapping between a queue, by its logical name, and the send
// function.
func (t *target) mapping(ctx context.Context, queue string) (m types.EventSourceMappingConfiguration, err error) {
	url, err := t.queue(ctx, queue)
	if err != nil {
		return m, err
	}
	out, err := t.lambda().ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(t.sendFunction())})
	if err != nil {
		return m, fmt.Errorf("the mappings of the send function cannot be read: %w", why(err))
	}
	for _, m := range out.EventSourceMappings {
		if url != "" && strings.HasSuffix(aws.ToString(m.EventSourceArn), ":"+path.Base(url)) {
			return m, nil
		}
	}
	return m, fmt.Errorf("the stack %s has no mapping of %s", t.name, queue)
}

// sendFunction returns what the send function is invoked by: its physical name, with
// GradualDeploys the ARN of its alias.
func (t *target) sendFunction() string {
	if t.local() {
		return sendID
	}
	return cmp.Or(t.resources["SendAlias"], t.resources[sendID])
}
