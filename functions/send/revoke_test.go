package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/docs"
)

// attempt is one request under a credential, and whether it was accepted.
type attempt struct {
	began    time.Time
	accepted bool
}

// TestRevokingAtOnceReachesWarmProcessesUnderLoad follows README's runbook: new values, then a
// configuration update of both functions.
func TestRevokingAtOnceReachesWarmProcessesUnderLoad(t *testing.T) {
	if !regexp.MustCompile(`aws lambda update-function-configuration [^\n]*--description `).MatchString(docs.Text(t)) {
		t.Error("README does not name the command that this test follows")
	}
	p := startProcesses(t)
	oldKey := p.stack.ClientKey()
	oldSecret, _ := p.stack.Secrets.Current(stack.WebhookSecret)
	ask := func(path, token, body string) int {
		r, err := http.NewRequest(http.MethodPost, p.stack.APIURL+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	over := make(chan struct{})
	var callers sync.WaitGroup
	var mu sync.Mutex
	tried := map[string][]attempt{}
	load := func(path, token string, body func(n int) string) {
		for caller := range 3 {
			callers.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-over:
						return
					default:
					}
					began := time.Now()
					status := ask(path, token, body(n*3+caller))
					if status != 200 && status != 401 {
						t.Errorf("%s returns %d", path, status)
					}
					mu.Lock()
					tried[path] = append(tried[path], attempt{began, status == 200})
					mu.Unlock()
				}
			})
		}
	}
	load("/webhook", oldSecret, func(int) string { return "{}" })
	load("/v1/wa/message", oldKey, numbered)
	count := func(path string) int {
		mu.Lock()
		defer mu.Unlock()
		return len(tried[path])
	}
	more := func(by int) {
		for _, path := range []string{"/webhook", "/v1/wa/message"} {
			at := count(path) + by
			await.Until(p.t, "there was load", func() bool { return count(path) >= at })
		}
	}
	more(30)
	p.stack.Secrets.Put(stack.WebhookSecret, "secret-text-between")
	p.stack.Secrets.Put(stack.WebhookSecret, "secret-text-new")
	p.stack.Secrets.Put(stack.ClientKeysSecret, `{"default":"client-key-new"}`)
	put := time.Now()
	more(30)
	for _, name := range []string{"WebhookFunction", "SendFunction"} {
		r, err := http.NewRequest(http.MethodPut, p.stack.LambdaURL+"/2015-03-31/functions/"+name+"/configuration", strings.NewReader(`{"Description":"secrets revoked"}`))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil || answer.StatusCode != 200 {
			t.Fatal(answer, err)
		}
		_ = answer.Body.Close()
	}
	updated := time.Now()
	for path, token := range map[string]string{"/webhook": "secret-text-new", "/v1/wa/message": "client-key-new"} {
		if status := ask(path, token, numbered(1)); status != 200 {
			t.Errorf("%s with its new value: %d", path, status)
		}
	}
	more(60)
	close(over)
	callers.Wait()
	for path, all := range tried {
		warm, late, refused := 0, 0, 0
		for _, a := range all {
			switch {
			case a.began.After(updated) && a.accepted:
				late++
			case a.began.After(updated):
				refused++
			case a.began.After(put) && a.accepted:
				warm++
			}
		}
		line := fmt.Sprintf("%s: %d accepted by warm processes after the new values, then %d accepted and %d refused after the update", path, warm, late, refused)
		t.Log(line)
		if warm == 0 || late != 0 || refused < 50 {
			t.Error(line)
		}
	}
}
