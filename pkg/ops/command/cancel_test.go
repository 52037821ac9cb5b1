package command

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestAnOperatorCancelsWhatNothingHasSent(t *testing.T) {
	r := start(t)
	send := func(more string) string {
		t.Helper()
		request, err := http.NewRequest(http.MethodPost, r.Env["API_URL"]+"/v1/wa/message",
			strings.NewReader(`{"message":{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"a"}}`+more+`}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+r.Env["CLIENT_KEY"])
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.Header.Get("Message-Id")
	}
	scheduled, sent := send(`,"sendAt":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"`), send("")
	for range 2 {
		if out, err := r.ops("", "cancel", "-id", scheduled); err != nil || out != scheduled+" is cancelled.\n" {
			t.Errorf("%v %s", err, out)
		}
	}
	for id, want := range map[string]string{
		"":                               "Name a message",
		"none":                           "Name a message",
		sent:                             "The message " + sent + " can no longer be cancelled: it is accepted",
		"msg_" + strings.Repeat("a", 26): "has no message",
	} {
		if out, err := r.ops("", "cancel", "-id", id); err == nil || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
			t.Errorf("%q: %v %s, want %s", id, err, out, want)
		}
	}
	if all := regexp.MustCompile(`"by":"operator"`).FindAllString(r.Try(http.MethodGet, r.Env["CONTROL_URL"]+"/items", ""), -1); len(all) != 1 {
		t.Errorf("%d items are cancelled by an operator", len(all))
	}
}
