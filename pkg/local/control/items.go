package control

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/whatsapp"
)

// record is an item with plain values: text, numbers as they are, Binary as base64,
// maps and lists of those.
type record map[string]any

func plain(item map[string]types.AttributeValue) record {
	r := record{}
	for name, v := range item {
		r[name] = plainValue(v)
	}
	return r
}

func plainValue(v types.AttributeValue) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return json.Number(v.Value)
	case *types.AttributeValueMemberB:
		return base64.StdEncoding.EncodeToString(v.Value)
	case *types.AttributeValueMemberBOOL:
		return v.Value
	case *types.AttributeValueMemberM:
		return plain(v.Value)
	case *types.AttributeValueMemberL:
		all := make([]any, len(v.Value))
		for i, one := range v.Value {
			all[i] = plainValue(one)
		}
		return all
	case *types.AttributeValueMemberSS:
		return v.Value
	}
	return nil // NULL; the product writes no other sets
}

func (r record) text(name string) string {
	s, _ := r[name].(string)
	return s
}

// items lists the table, the newest first, parts put together again.
func (c *Control) items(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var bounds [2]int64
	for i, name := range []string{"since", "until"} {
		if text := q.Get(name); text != "" {
			at, err := parseTime(text)
			if err != nil {
				fail(w, http.StatusBadRequest, errors.New(name+" must be epoch seconds or a time such as 2026-01-31T12:00:00Z"))
				return
			}
			bounds[i] = at
		}
	}
	limit := -1
	if text := q.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 0 {
			fail(w, http.StatusBadRequest, errors.New("limit must be a whole number"))
			return
		}
	}
	all, err := c.scan(r.Context())
	if err != nil {
		fail(w, http.StatusBadGateway, err)
		return
	}
	found := []record{}
	for _, item := range join(all) {
		if kind := q.Get("kind"); kind != "" && item.text("kind") != kind {
			continue
		}
		if contact := q.Get("contact"); contact != "" && item.text("contact") != contact {
			continue
		}
		if client := q.Get("client"); client != "" && item.text("client") != client {
			continue
		}
		if at := epoch(item); (bounds[0] != 0 && at < bounds[0]) || (bounds[1] != 0 && at > bounds[1]) {
			continue
		}
		found = append(found, item)
	}
	slices.SortStableFunc(found, func(a, b record) int {
		if d := epoch(b) - epoch(a); d != 0 {
			return int(d)
		}
		return strings.Compare(a.text("pk")+a.text("sk"), b.text("pk")+b.text("sk"))
	})
	total := len(found)
	if limit >= 0 && limit < total {
		found = found[:limit]
	}
	answer(w, http.StatusOK, map[string]any{"count": total, "items": found})
}

func epoch(r record) int64 {
	n, _ := r["timestamp"].(json.Number)
	at, _ := n.Int64()
	return at
}

func parseTime(text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	return at.Unix(), err
}

func (c *Control) scan(ctx context.Context) ([]record, error) {
	var all []record
	pages := dynamodb.NewScanPaginator(c.stack.DB, &dynamodb.ScanInput{
		TableName: aws.String(c.stack.TableName), ConsistentRead: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			all = append(all, plain(item))
		}
	}
	return all, nil
}

// join puts the parts of payloads back into their heads. A part whose head is not
// there stays as it is.
func join(all []record) []record {
	parts := map[string]record{}
	for _, r := range all {
		if r.text("kind") == "part" {
			parts[r.text("pk")+"\n"+r.text("sk")] = r
		}
	}
	for _, r := range all {
		count, _ := r["parts"].(json.Number)
		n, _ := count.Int64()
		payload := ""
		for i := int64(1); i <= n; i++ {
			key := r.text("pk") + "\n" + r.text("sk") + "#part" + strconv.FormatInt(i, 10)
			payload += parts[key].text("payload")
			delete(parts, key)
		}
		if n > 0 {
			r["payload"] = payload
		}
	}
	return slices.DeleteFunc(all, func(r record) bool {
		return r.text("kind") == "part" && parts[r.text("pk")+"\n"+r.text("sk")] == nil
	})
}

// conversation lists what was said with a contact, in order: one Query of the index.
func (c *Control) conversation(w http.ResponseWriter, r *http.Request) {
	contact := r.PathValue("contact")
	found, err := c.query(r.Context(), &dynamodb.QueryInput{
		TableName: aws.String(c.stack.TableName), IndexName: aws.String("timeline"),
		KeyConditionExpression: aws.String("timeline_pk = :contact"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":contact": &types.AttributeValueMemberS{Value: "contact#" + contact},
		},
	})
	if err != nil {
		fail(w, http.StatusBadGateway, err)
		return
	}
	for _, item := range found {
		if item.text("direction") != string(whatsapp.Out) {
			continue
		}
		if err := c.state(r.Context(), item); err != nil {
			fail(w, http.StatusBadGateway, err)
			return
		}
	}
	answer(w, http.StatusOK, map[string]any{"contact": contact, "items": found})
}

// state folds the statuses of a message that went out into it. Those of a send whose
// caller used the opaque data are under WhatsApp's id.
func (c *Control) state(ctx context.Context, item record) error {
	rows, err := c.under(ctx, item.text("pk"))
	if err != nil {
		return err
	}
	for _, r := range rows {
		if wamid := r.text("sent_wamid"); wamid != "" {
			more, err := c.under(ctx, "wa#"+wamid)
			if err != nil {
				return err
			}
			rows = append(rows, more...)
		}
	}
	var statuses []whatsapp.Event
	for _, r := range rows {
		if r.text("kind") == string(whatsapp.KindStatus) {
			statuses = append(statuses, whatsapp.Event{Status: r.text("status"), ErrorCode: r.text("error_code")})
		}
	}
	folded := whatsapp.Fold(statuses)
	if folded.State != "" {
		item["state"] = folded.State
	}
	if folded.Failed {
		item["failed"], item["error_codes"] = true, folded.ErrorCodes
	}
	return nil
}

// under returns the rows of a partition key.
func (c *Control) under(ctx context.Context, pk string) ([]record, error) {
	return c.query(ctx, &dynamodb.QueryInput{
		TableName:                 aws.String(c.stack.TableName),
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: pk}},
	})
}

func (c *Control) query(ctx context.Context, in *dynamodb.QueryInput) ([]record, error) {
	found := []record{}
	pages := dynamodb.NewQueryPaginator(c.stack.DB, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			found = append(found, plain(item))
		}
	}
	return found, nil
}
