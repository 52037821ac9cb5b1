package whatsapp

import (
	"strings"
	"testing"

	"connexease-functions/pkg/local/fixtures"
)

func TestEveryBodyThatIsSentPasses(t *testing.T) {
	for _, name := range fixtures.Sends() {
		summary, faults := Check(send(t, name))
		if len(faults) != 0 {
			t.Errorf("%s: %q", name, faults)
		}
		if strings.HasPrefix(name, "mark-as-read") != summary.Receipt {
			t.Errorf("%s: receipt %t", name, summary.Receipt)
		}
		if !summary.Receipt && (summary.Type == "" || summary.To == "" && summary.Recipient == "") {
			t.Errorf("%s: %+v", name, summary)
		}
	}
}

func send(tb testing.TB, name string) []byte {
	tb.Helper()
	body, err := fixtures.Send(name)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

func BenchmarkCheckLargestSend(b *testing.B) {
	var largest []byte
	for _, name := range fixtures.Sends() {
		if body := send(b, name); len(body) > len(largest) {
			largest = body
		}
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(largest)))
	for b.Loop() {
		Check(largest)
	}
}

func BenchmarkCheckText4096(b *testing.B) {
	body := []byte(checkTyped("text", `{"body":"`+checkRepeat("ş", 4096)+`"}`))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		Check(body)
	}
}
