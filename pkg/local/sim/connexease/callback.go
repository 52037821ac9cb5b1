package connexease

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"connexease-functions/pkg/local/pause"
)

// webhookTimeout is how long the Gateway waits for a 200.
const webhookTimeout = 5 * time.Second

// Callbacks configures the callbacks of accepted messages. The zero value sends sent, delivered and
// read, at once, once each and in this order.
type Callbacks struct {
	Off       bool     `json:"off,omitempty"`
	Statuses  []string `json:"statuses,omitempty"`   // default sent, delivered, read
	DelayMS   int      `json:"delay_ms,omitempty"`   // before each
	Shuffle   bool     `json:"shuffle,omitempty"`    // in any order
	Repeat    int      `json:"repeat,omitempty"`     // how often each is repeated, one after the other
	Loss      float64  `json:"loss,omitempty"`       // share of callbacks that are lost, 0 to 1
	FailTimes int      `json:"fail_times,omitempty"` // how many of the next messages are called back as failed only
	FailShare float64  `json:"fail_share,omitempty"` // or a share of them, 0 to 1
	FailCode  int      `json:"fail_code,omitempty"`  // Meta's error code; default 131026
}

// Validate returns an error that names every problem; nil if there is none.
func (c Callbacks) Validate() error {
	var all []error
	if c.DelayMS < 0 || c.DelayMS > int(maxDelay.Milliseconds()) {
		all = append(all, errors.New("delay_ms must be between 0 and 600000"))
	}
	if c.Loss < 0 || c.Loss > 1 || c.FailShare < 0 || c.FailShare > 1 {
		all = append(all, errors.New("loss and fail_share must be between 0 and 1"))
	}
	if c.Repeat < 0 || c.Repeat > 1000 || c.FailTimes < 0 {
		all = append(all, errors.New("repeat must be between 0 and 1000, fail_times not negative"))
	}
	return errors.Join(all...)
}

// Callbacks returns the settings, with the failures that remain.
func (s *Server) Callbacks() Callbacks {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.callbacks
}

// SetCallbacks sets how later messages are called back.
func (s *Server) SetCallbacks(c Callbacks) error {
	if err := c.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callbacks = c
	return nil
}

// call starts a message's callbacks. It expects the lock to be held.
func (s *Server) call(t *taken, m map[string]any) {
	c := s.callbacks
	if c.Off || s.webhook == "" || s.closed {
		return
	}
	statuses := c.Statuses
	if len(statuses) == 0 {
		statuses = []string{"sent", "delivered", "read"}
	}
	if c.FailTimes > 0 || c.FailShare > 0 && s.config.Rand.Float64() < c.FailShare {
		statuses = []string{"failed"}
		s.callbacks.FailTimes = max(c.FailTimes-1, 0)
	}
	var plan []string
	for _, status := range statuses {
		for range 1 + c.Repeat {
			if s.config.Rand.Float64() >= c.Loss {
				plan = append(plan, status)
			}
		}
	}
	if c.Shuffle {
		s.config.Rand.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	}
	url := s.webhook
	s.work.Go(func() {
		bodies := map[string][]byte{} // a repeat is identical byte for byte
		for _, status := range plan {
			if pause.For(s.ctx, time.Duration(c.DelayMS)*time.Millisecond) != nil {
				return
			}
			if bodies[status] == nil {
				bodies[status] = s.notification(t, m, status, c.FailCode)
			}
			answer := s.deliver(url, bodies[status])
			s.mu.Lock()
			t.Callbacks = append(t.Callbacks, Callback{status, answer})
			s.mu.Unlock()
		}
	})
}

// deliver posts one callback and returns the HTTP status, 0 without a response.
func (s *Server) deliver(url string, body []byte) int {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	if s.config.WebhookSecret != nil {
		r.Header.Set("Authorization", "Bearer "+s.config.WebhookSecret())
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(r)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody))
	return response.StatusCode
}

// notification returns Meta's body for one status (WhatsApp Cloud API: status messages webhook).
func (s *Server) notification(t *taken, m map[string]any, status string, failCode int) []byte {
	now := s.config.Now()
	one := map[string]any{"id": t.Wamid, "status": status, "timestamp": strconv.FormatInt(now.Unix(), 10)}
	if to := text(m, "to"); to != "" {
		one["recipient_id"] = waID(to)
	} else {
		one["recipient_user_id"] = text(m, "recipient")
	}
	if opaque := text(m, "biz_opaque_callback_data"); opaque != "" {
		one["biz_opaque_callback_data"] = opaque
	}
	if status == "failed" {
		one["errors"] = []any{failed(failCode)}
	} else {
		category := "service"
		switch {
		case t.MMLite:
			category = "marketing_lite"
		case text(m, "type") == "template":
			category = "utility"
		}
		origin := map[string]any{"id": fmt.Sprintf("%032x", t.Wamid[len(t.Wamid)-min(16, len(t.Wamid)):]), "origin": map[string]any{"type": category}}
		if status == "sent" {
			origin["expiration_timestamp"] = strconv.FormatInt(now.Add(24*time.Hour).Unix(), 10)
		}
		one["conversation"] = origin
		one["pricing"] = map[string]any{"billable": category != "service", "pricing_model": "PMP", "category": category, "type": "regular"}
	}
	body, _ := json.Marshal(map[string]any{
		"object": "whatsapp_business_account",
		"entry": []any{map[string]any{"id": s.config.AccountID, "changes": []any{map[string]any{
			"field": "messages",
			"value": map[string]any{
				"messaging_product": "whatsapp",
				"metadata":          map[string]any{"display_phone_number": s.config.DisplayPhone, "phone_number_id": t.PhoneNumberID},
				"statuses":          []any{one},
			},
		}}}},
	})
	return body
}

func failed(code int) map[string]any {
	code = cmp.Or(code, 131026)
	title := cmp.Or(map[int]string{131026: "Message undeliverable", 131047: "Re-engagement message", 131049: "This message was not delivered to maintain healthy ecosystem engagement."}[code], "Something went wrong")
	return map[string]any{"code": code, "title": title, "message": title, "error_data": map[string]any{"details": title},
		"href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"}
}
