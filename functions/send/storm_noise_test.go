package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connexease-functions/pkg/local/stack"
)

// noise is what goes on during a storm: bad tokens at 60 a second, a rotation of the client
// key in the middle of them, and receipts of other messages under the tokens of what left.
type noise struct {
	p     *processes
	over  chan struct{}
	all   sync.WaitGroup
	bad   atomic.Int64
	other atomic.Int64
}

// otherMessage is the id under which the receipts of other messages come.
const otherMessage = "wamid.OTHER"

func (p *processes) makeNoise() *noise {
	n := &noise{p: p, over: make(chan struct{})}
	n.every(time.Second/60, func(i int) {
		if status := n.post("/v1/wa/message", fmt.Sprint("bad-", i%3), "{}"); status != http.StatusUnauthorized && status < 500 {
			p.t.Errorf("a bad token: %d", status)
		}
		n.bad.Add(1)
	})
	n.every(50*time.Millisecond, func(i int) {
		sent := p.stack.Gateway.Messages()
		if len(sent) == 0 {
			return
		}
		var m struct {
			Opaque string `json:"biz_opaque_callback_data"`
		}
		if json.Unmarshal(sent[i%len(sent)].Body, &m) != nil || m.Opaque == "" {
			return
		}
		secret, _ := p.stack.Secrets.Current(stack.WebhookSecret)
		n.post("/webhook", secret, fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"W","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",`+
			`"metadata":{"phone_number_id":"1"},"statuses":[{"id":"%s","status":"failed","timestamp":"%d","biz_opaque_callback_data":%q}]}}]}]}`,
			otherMessage, time.Now().Add(time.Hour).Unix(), m.Opaque))
		n.other.Add(1)
	})
	return n
}

// inbound delivers a message of a person.
func (n *noise) inbound(from string) {
	secret, _ := n.p.stack.Secrets.Current(stack.WebhookSecret)
	for n.post("/webhook", secret, fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"W","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",`+
		`"metadata":{"phone_number_id":"1"},"messages":[{"from":%q,"id":"wamid.MIDWAY","type":"text","timestamp":"%d","text":{"body":"Hi"}}]}}]}]}`, from, time.Now().Unix())) != http.StatusOK {
		n.p.t.Log("the person's message is delivered again")
	}
}

func (n *noise) every(d time.Duration, do func(i int)) {
	n.all.Go(func() {
		tick := time.NewTicker(d)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-n.over:
				return
			case <-tick.C:
				do(i)
			}
		}
	})
}

func (n *noise) post(path, token, body string) int {
	r, err := http.NewRequest(http.MethodPost, n.p.stack.APIURL+path, strings.NewReader(body))
	if err != nil {
		n.p.t.Error(err)
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		n.p.t.Error(err)
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// rotate gives the client a new key, which is used at once.
func (n *noise) rotate() {
	value, err := json.Marshal(map[string][]string{"default": {"client-key-" + stack.NewSecret(32), n.p.stack.ClientKey()}})
	if err != nil {
		n.p.t.Error(err)
		return
	}
	n.p.stack.Secrets.Put(stack.ClientKeysSecret, string(value))
}

func (n *noise) end() {
	close(n.over)
	n.all.Wait()
	n.p.t.Logf("%d bad tokens, %d receipts of other messages", n.bad.Load(), n.other.Load())
	if n.bad.Load() == 0 || n.other.Load() == 0 {
		n.p.t.Error("there was no noise")
	}
}
