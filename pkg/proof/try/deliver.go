package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-resty/resty/v2"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/whole"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// verdict is the result of a body.
type verdict int

const (
	kept    verdict = iota
	refused         // a send that was refused with its faults, at no cost
	lost
)

// result is what is printed for a body.
type result struct {
	status  int
	verdict verdict
	lines   []string
}

func (r *result) String() string {
	return strings.Join(append([]string{fmt.Sprint(r.status)}, r.lines...), "\n    ")
}

func (r *result) add(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// lose records what was lost.
func (r *result) lose(format string, args ...any) {
	r.verdict = lost
	r.add("LOST: "+format, args...)
}

// receive delivers a webhook's body.
func receive(ctx context.Context, s *stack.Stack, body []byte) (*result, error) {
	secret, _ := s.Secrets.Current(stack.WebhookSecret)
	r, answer, err := post(ctx, s.APIURL+"/webhook", secret, body)
	if err != nil {
		return nil, err
	}
	if r.status != http.StatusOK {
		r.lose("%s", answer)
		return r, nil
	}
	items, err := stored(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		r.add("%s", shown(it))
	}
	for _, line := range whole.Missing(body, items) {
		r.lose("%s", line)
	}
	return r, nil
}

// send sends a body, and checks what the Gateway received.
func send(ctx context.Context, s *stack.Stack, body []byte) (*result, error) {
	before := len(s.Gateway.Messages())
	r, answer, err := post(ctx, s.APIURL+"/v1/wa/message", s.ClientKey(), body)
	if err != nil {
		return nil, err
	}
	messages := s.Gateway.Messages()[before:]
	items, err := stored(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		r.add("%s", shown(it))
	}
	if r.status != http.StatusOK {
		var said gateway.Response
		if json.Unmarshal(answer, &said) == nil && said.Errors != nil && said.Errors.Code == "MSG_001" && len(messages) == 0 && len(items) == 0 {
			r.verdict = refused
			r.add("refused: %s", answer)
			return r, nil
		}
		r.lose("%s", answer)
		return r, nil
	}
	if len(messages) != 1 {
		r.lose("the Gateway had %d messages of it", len(messages))
		return r, nil
	}
	if !sameBody(body, messages[0].Body) {
		r.lose("it was sent as %s", messages[0].Body)
	}
	summary, _ := whatsapp.Check(body)
	switch {
	case summary.Receipt && len(items) == 0:
		r.add("a receipt: it was sent, and has no row")
	case summary.Receipt || len(items) != 1:
		r.lose("it has %d rows", len(items))
	case !sameBody(body, []byte(items[0].Text("payload"))):
		r.lose("its row has %s", items[0].Text("payload"))
	}
	return r, nil
}

// sameBody reports whether a text equals the given body, except for white space and our opaque data
// at its end.
func sameBody(given, text []byte) bool {
	var want bytes.Buffer
	if json.Compact(&want, given) != nil {
		return false
	}
	if bytes.Equal(want.Bytes(), text) {
		return true
	}
	rest, ok := bytes.CutPrefix(text, append(want.Bytes()[:want.Len()-1:want.Len()-1], `,"biz_opaque_callback_data":"`...))
	opaque, closed := bytes.CutSuffix(rest, []byte(`"}`))
	_, _, ours := ledger.ParseOpaque(string(opaque))
	return ok && closed && ours
}

var client = resty.New()

func post(ctx context.Context, url, token string, body []byte) (*result, []byte, error) {
	response, err := client.R().SetContext(ctx).SetAuthToken(token).SetHeader("Content-Type", "application/json").SetBody(body).Post(url)
	if err != nil {
		return nil, nil, err
	}
	return &result{status: response.StatusCode()}, response.Body(), nil
}

func rows(s *stack.Stack) *table.Table { return table.New(s.DB, s.TableName, 0) }

// stored returns the table's items, joined, by their keys.
func stored(ctx context.Context, s *stack.Stack) ([]table.Item, error) {
	var all []table.Item
	if err := rows(s).Scan(ctx, table.Selection{}, func(it table.Item) { all = append(all, it) }); err != nil {
		return nil, err
	}
	all = table.Join(all)
	slices.SortFunc(all, func(a, b table.Item) int {
		return cmp.Compare(a.Text("pk")+a.Text("sk"), b.Text("pk")+b.Text("sk"))
	})
	return all, nil
}

// empty removes all items, so that the next body has the table to itself.
func empty(ctx context.Context, s *stack.Stack) error {
	var keys [][2]string
	err := rows(s).Scan(ctx, table.Selection{}, func(it table.Item) {
		pk, sk := it.Key()
		keys = append(keys, [2]string{pk, sk})
	})
	for _, key := range keys {
		if err == nil {
			err = rows(s).Delete(ctx, key[0], key[1])
		}
	}
	return err
}

// shown returns an item on one line.
func shown(it table.Item) string {
	var parts []string
	for _, name := range []string{"kind", "direction", "type", "field", "status", "contact", "reason", "text"} {
		if text := it.Text(name); text != "" {
			parts = append(parts, name+" "+text)
		}
	}
	pk, sk := it.Key()
	return strings.ReplaceAll(strings.Join(parts, "  "), "\n", " ") + "  -> " + pk + " / " + sk
}
