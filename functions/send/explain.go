package main

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/whatsapp"
)

// explain says in words what the statuses say, and what to do about failures.
func (v *view) explain(f whatsapp.Folded, receipts []ledger.Status) []string {
	words := []string{map[string]string{
		"": "The Gateway accepted it.", "sent": "WhatsApp sent it.", "delivered": "It was delivered.", "read": "It was read.", "played": "It was played.",
	}[f.State]}
	if !f.Failed {
		return words
	}
	words = append(words, "WhatsApp could not deliver it, at least on one device.")
	seen := map[string]bool{}
	for _, r := range receipts {
		var errors []struct {
			Code    json.RawMessage `json:"code"`
			Title   string          `json:"title"`
			Message string          `json:"message"`
			Data    struct {
				Details string `json:"details"`
			} `json:"error_data"`
		}
		_ = json.Unmarshal(r.Errors, &errors) // what cannot be read is left out
		for _, e := range errors {
			if code, err := strconv.Atoi(strings.Trim(string(e.Code), `"`)); err == nil && r.Status == "failed" {
				v.fail(code)
			}
			for _, text := range []string{e.Data.Details, e.Message, e.Title} {
				if text == "" {
					continue
				}
				if text = strings.TrimSuffix(text, ".") + "."; !seen[text] {
					seen[text] = true
					words = append(words, text)
				}
				break
			}
		}
	}
	return append(words, v.advice()...)
}

// fail adds those of Meta's codes that can be explained, each once.
func (v *view) fail(codes ...int) {
	for _, code := range codes {
		if f, ok := whatsapp.Explain(code); ok && !slices.Contains(v.Failures, f) {
			v.Failures = append(v.Failures, f)
		}
	}
}

// advice has the failures as sentences.
func (v *view) advice() (sentences []string) {
	for _, f := range v.Failures {
		sentences = append(sentences, f.Meaning, f.Do)
	}
	return sentences
}
