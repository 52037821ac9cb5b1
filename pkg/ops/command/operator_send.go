package command

import (
	"context"
	"fmt"
)

// Cancel implements console.Operator.
func (o *operator) Cancel(ctx context.Context, id string) error {
	db, err := o.target.writer()
	if err != nil {
		return err
	}
	return o.target.cancel(ctx, db, id)
}

// Send implements console.Operator.
func (o *operator) Send(ctx context.Context, client, body string, async bool) (status int, response string, err error) {
	requests, _, address, err := o.target.endpoints()
	if err != nil {
		return 0, "", err
	}
	key, err := o.target.clientKey(ctx, client)
	if err != nil {
		return 0, "", err
	}
	request := requests.R().SetContext(ctx).SetAuthToken(key).SetHeader("Content-Type", "application/json").SetBody(body)
	if async {
		request.SetHeader("Prefer", "respond-async")
	}
	said, err := request.Post(address)
	if err != nil {
		return 0, "", fmt.Errorf("the send endpoint gave no response: %w", why(err))
	}
	return said.StatusCode(), said.String(), nil
}
