package command

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/whatsapp"
)

// counted is the JSON of usage.
type counted struct {
	Groups []struct {
		Of             map[string]string
		Sent, Billable int
	}
	Total       map[string]any
	WithoutSend map[string]any `json:"without_send"`
}

func TestUsageOfWhatTheLaptopSent(t *testing.T) {
	r := start(t)
	for _, envelope := range []string{
		ofCampaign("spring", "usage-1", ""),
		ofCampaign("spring", "usage-2", `"lane":"bulk",`),
		strings.Replace(ofCampaign("autumn", "usage-3", ""), `"type":"text"`, `"biz_opaque_callback_data":"mine","type":"text"`, 1),
		`{"idempotencyKey":"usage-4","contact":"905321234567","message":{"messaging_product":"whatsapp","type":"template","template":{"name":"order_update","language":{"code":"en_US"}}}}`,
	} {
		if status, _ := r.send(envelope, strings.Contains(envelope, "bulk")); status/100 != 2 {
			t.Fatalf("status %d of %s", status, envelope)
		}
	}
	fake, err := http.NewRequest(http.MethodPost, r.Env["API_URL"]+"/v1/wa/message?is_fake=true", strings.NewReader(`{"messaging_product":"whatsapp","to":"4915123456789","type":"text","text":{"body":"Hi"}}`))
	if err != nil {
		t.Fatal(err)
	}
	fake.Header.Set("Authorization", "Bearer "+r.Env["CLIENT_KEY"])
	if answer, err := http.DefaultClient.Do(fake); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(err, answer)
	}
	r.Trigger("status-read") // of a message that somebody else sent
	count := func() (c counted) {
		out, err := r.command("usage", "-since", "2025-11-01", "-by", "campaign,category,country", "-format", "json").Output()
		if err != nil || json.Unmarshal(out, &c) != nil {
			t.Fatalf("%v %s", err, out)
		}
		return c
	}
	r.Until("all are read", func() bool { c := count(); return c.Total["read"] == 4.0 && c.WithoutSend["sent"] == 1.0 })
	c := count()
	for name, want := range map[string]any{"sent": 5.0, "delivered": 4.0, "failed": 0.0, "billable": 1.0, "sandbox": 1.0, "unknown": 0.0, "gateway_fee_usd": "0.005"} {
		if c.Total[name] != want {
			t.Errorf("%s is %v, want %v", name, c.Total[name], want)
		}
	}
	groups := map[string]int{}
	for _, g := range c.Groups {
		groups[g.Of["campaign"]+" "+g.Of["category"]+" "+g.Of["country"]] = g.Sent*10 + g.Billable
	}
	for name, want := range map[string]int{"spring service +1": 20, "autumn service +1": 10, " utility TR": 11, "  DE": 10} {
		if groups[name] != want {
			t.Errorf("%q has %d: %v", name, groups[name], groups)
		}
	}
	// README's commands, as they stand there.
	block := strings.NewReplacer("make usage", "make -s usage STATE="+r.State, ".local/", r.State+"/").Replace(docs.Block(t, "sh", "make usage SINCE="))
	shell := exec.Command("sh", "-ec", block)
	shell.Dir = project(t)
	out, err := shell.CombinedOutput()
	page, err1 := os.ReadFile(filepath.Join(r.State, "usage.html"))
	sheet, err2 := os.ReadFile(filepath.Join(r.State, "usage.csv"))
	if err := errors.Join(err, err1, err2); err != nil || !strings.Contains(string(out), "\ntotal ") || !strings.Contains(string(out), "$0.005") ||
		!strings.Contains(string(page), "By category") || !strings.Contains(string(sheet), "\ntotal,,,5,") {
		t.Errorf("%v %s\n%s", err, out, sheet)
	}
	if _, err := os.Stat(filepath.Join(r.State, "usage")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was read is still there: %v", err)
	}
}

func TestAnInterruptedUsageResumesAndRefusesAnotherQuestion(t *testing.T) {
	w := newWorld(t)
	for _, name := range fixtures.Names() { // so that each page has some
		put(t, w.table, whatsapp.Split(compact(t, name))...)
	}
	var scans atomic.Int64
	w.database.Set(func(rw http.ResponseWriter, action string, _ []byte) bool {
		if action != "Scan" || scans.Add(1) < 3 {
			return false
		}
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(rw, `{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException"}`)
		return true
	})
	usage := func(arguments ...string) (string, error) {
		return w.ops(append([]string{"usage", "-since", "2025-11-24", "-by", ""}, arguments...)...)
	}
	out, err := usage()
	if err == nil || !strings.Contains(out, "This reads the whole table "+w.table) || !strings.Contains(out, "The same command resumes from there") {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := usage("-until", "2026-01-01"); err == nil || !strings.Contains(out, "unfinished reading of a different query") || !strings.Contains(out, "-resume") {
		t.Errorf("%v %s", err, out)
	}
	w.database.Set(nil)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if out, err = usage("-until", "2026-01-01", "-resume", elsewhere); err != nil || !strings.Contains(out, "until before 2026-01-01T00:00:00Z") || figures(out) == "" {
		t.Errorf("%v %s", err, out)
	}
	want := figures(out)
	if out, err := usage(); err != nil || figures(out) != want || !strings.Contains(out, "Resuming after") {
		t.Errorf("%v %s, want %s", err, out, want)
	}
	for _, folder := range []string{elsewhere, filepath.Join(w.state, "usage")} {
		if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", folder, err)
		}
	}
}

// figures are the lines of a report that count.
func figures(out string) string {
	return strings.Join(regexp.MustCompile(`(?m)^(total|without a send) .*$`).FindAllString(out, -1), "\n")
}

func TestUsageSaysWhatItsFlagsMayBe(t *testing.T) {
	w := &world{t: t, stack: local, state: t.TempDir()}
	for want, arguments := range map[string][]string{
		"Say from when":          nil,
		"-since (SINCE for make": {"-since", "October"},
		"is not after it":        {"-since", "2026-10-01", "-until", "2026-10-01"},
		"-by (BY for make)":      {"-since", "1h", "-by", "week"},
		"none of table, csv":     {"-since", "1h", "-format", "xml"},
		"Nothing runs here":      {"-since", "1h"},
	} {
		if out, err := w.ops(append([]string{"usage"}, arguments...)...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v %s", arguments, err, out)
		}
	}
}

func TestUsageOfADeployedStackAsksFirst(t *testing.T) {
	w := newWorld(t)
	put(t, w.table, whatsapp.Split(compact(t, "status-sent"))...)
	inCloud(t, w.table)
	state, page := t.TempDir(), filepath.Join(t.TempDir(), "usage.html")
	usage := func(typed string, arguments ...string) (string, error) {
		return ops(t, state, "demo", typed, append([]string{"usage", "-since", time.Unix(1764000000, 0).UTC().Format(time.DateOnly), "-html", page}, arguments...)...)
	}
	if out, err := usage("other\n"); err == nil || !strings.Contains(out, "read units, $0.00 in us-east-1") || !strings.Contains(out, "Nothing was read") {
		t.Errorf("%v %s", err, out)
	}
	for _, typed := range []string{"demo\n", ""} {
		var flags []string
		if typed == "" {
			flags = []string{"-yes"}
		}
		if out, err := usage(typed, flags...); err != nil || !strings.Contains(out, "without a send") {
			t.Errorf("%v %s", err, out)
		}
		if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "Usage of demo") {
			t.Errorf("%v %s", err, text)
		}
	}
}
