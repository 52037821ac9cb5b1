// Command client sends, looks up and cancels with a client that was generated from the description
// of the API, and ends with 1 where a response is not what the description promises.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"client/api"
)

func as(variable string) api.RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+os.Getenv(variable))
		return nil
	}
}

func text(body string) api.SendMessageJSONRequestBody {
	product, to, kind, said := "whatsapp", "15550100001", "text", map[string]any{"body": body}
	var b api.SendMessageJSONRequestBody
	if err := b.FromMessage(api.Message{MessagingProduct: &product, To: &to, Type: &kind, Text: &said}); err != nil {
		panic(err)
	}
	return b
}

func must[T any](v T, err error) T {
	expect("a request", nil, err == nil, err)
	return v
}

func expect(what string, body []byte, holds bool, more ...any) {
	if !holds {
		fmt.Fprintf(os.Stderr, "%s: %s %v\n", what, body, more)
		os.Exit(1)
	}
}

func main() {
	ctx := context.Background()
	c := must(api.NewClientWithResponses(os.Getenv("API_URL"), api.WithRequestEditorFn(as("CLIENT_KEY"))))

	key := "generated-1"
	once := &api.SendMessageParams{IdempotencyKey: &key}
	sent := must(c.SendMessageWithResponse(ctx, once, text("Hello")))
	expect("a send", sent.Body, sent.JSON200 != nil && len(*sent.JSON200.Data.Messages) == 1)
	id := *sent.Headers200.MessageId
	again := must(c.SendMessageWithResponse(ctx, once, text("Hello")))
	expect("a repeat", again.Body, again.JSON200 != nil && *again.Headers200.IdempotentReplayed == "true")
	reused := must(c.SendMessageWithResponse(ctx, once, text("Goodbye")))
	expect("a key that is reused", reused.Body, reused.JSON422 != nil && reused.JSON422.Errors.Code == "IDEM_002")
	for began := time.Now(); ; {
		found := must(c.LookUpMessageWithResponse(ctx, id))
		expect("a look-up", found.Body, found.JSON200 != nil && found.JSON200.Data.State == "accepted" && time.Since(began) < time.Minute)
		if status := found.JSON200.Data.Status; status != nil && *status == "read" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	found := must(c.FindMessageWithResponse(ctx, &api.FindMessageParams{IdempotencyKey: &key}))
	expect("a look-up by its key", found.Body, found.JSON200 != nil && must(found.JSON200.AsFound()).Data.Id == id)

	at := time.Now().Add(time.Hour)
	later := must(c.SendMessageWithResponse(ctx, &api.SendMessageParams{SendAt: &at}, text("Later")))
	expect("a message for later", later.Body, later.JSON202 != nil && later.JSON202.Data.Status == "scheduled")
	cancelled := must(c.CancelMessageWithResponse(ctx, later.JSON202.Data.Id))
	expect("a cancellation", cancelled.Body, cancelled.JSON200 != nil)
	late := must(c.CancelMessageWithResponse(ctx, id))
	expect("a cancellation of what has left", late.Body, late.JSON409 != nil && late.JSON409.Errors.Code == "CANCEL_001")

	stored := must(c.ReceiveWithResponse(ctx, map[string]any{"object": "test"}, as("WEBHOOK_SECRET")))
	expect("a delivery", stored.Body, stored.JSON200 != nil && stored.JSON200.Data.Events == 1)
	stranger := must(c.ReceiveWithResponse(ctx, map[string]any{}, as("CLIENT_KEY")))
	expect("a stranger", stranger.Body, stranger.JSON401 != nil && stranger.JSON401.Errors.Code == "AUTH_001")
	fmt.Println("The generated client sent, repeated, looked up, cancelled and delivered.")
}
