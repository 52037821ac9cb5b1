package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// show prints one item whole, what a customer wrote included: that is what was asked for.
func (p *place) show(ctx context.Context, key string) error {
	sk := headKey
	if strings.HasPrefix(key, "msg_") {
		sk = sendKey
	}
	head, payload, err := p.read(ctx, key, sk)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	delete(head, "payload")
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(plain(&types.AttributeValueMemberM{Value: head})); err != nil {
		return err
	}
	p.printf("%sPayload, %d bytes:\n%s\n", text.Bytes(), len(payload), printable(payload))
	return nil
}

// plain is a value as JSON has it: numbers as they are, bytes as text.
func plain(v types.AttributeValue) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberN:
		return json.Number(v.Value)
	case *types.AttributeValueMemberBOOL:
		return v.Value
	case *types.AttributeValueMemberB:
		return printable(v.Value)
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberM:
		all := map[string]any{}
		for name, one := range v.Value {
			all[name] = plain(one)
		}
		return all
	}
	return nil // the product writes no other types
}

// printable is a text as it is, unless it has what a terminal would obey: then it is
// quoted as in Go.
func printable(text []byte) string {
	s := string(text)
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) {
		return strconv.Quote(s)
	}
	return s
}
