package whole

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/table"
)

func item(payload string) table.Item {
	return table.Item{"payload": &types.AttributeValueMemberS{Value: payload}}
}

func TestMissingValuesAreNamed(t *testing.T) {
	const body = `{"object":"whatsapp_business_account","entry":[{"changes":[{"value":{"metadata":{},"messages":[{"id":"a","n":1.50},{"id":"b","n":2}]}}]}]}`
	for name, c := range map[string]struct {
		body  string
		items []table.Item
		want  []string
	}{
		"everything stored": {body, []table.Item{item(`{"id":"a","n":1.50}`), item(`{"id":"b","n":2}`)}, nil},
		"a message is lost": {body, []table.Item{item(`{"id":"a","n":1.50}`)}, []string{`"2" is nowhere in the table`, `"b" is nowhere in the table`, `no item has the payload {"id":"b","n":2}`}},
		"a number is changed": {body, []table.Item{item(`{"id":"a","n":1.5}`), item(`{"id":"b","n":2}`)}, []string{
			`"1.50" is nowhere in the table`, `no item has the payload {"id":"a","n":1.50}`,
		}},
		"not JSON, kept": {"hello", []table.Item{item("hello")}, nil},
		"not JSON, lost": {"hello", nil, []string{`"hello" is nowhere in the table`}},
	} {
		if got := Missing([]byte(c.body), c.items); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
