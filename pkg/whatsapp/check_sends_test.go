package whatsapp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkSends holds send bodies from public sources, one in each file. They are no
// part of this repository.
const checkSends = "../../../shared/sends"

func checkSendFiles(tb testing.TB) []string {
	files, err := filepath.Glob(checkSends + "/*/*.json")
	if err != nil {
		tb.Fatal(err)
	}
	if len(files) == 0 {
		tb.Skipf("no send bodies under %s: nothing was tried", checkSends)
	}
	return files
}

func TestBodiesThatOthersSendPass(t *testing.T) {
	for _, file := range checkSendFiles(t) {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		summary, faults := Check(body)
		if len(faults) != 0 {
			t.Errorf("%s: %q", file, faults)
		}
		if strings.HasPrefix(filepath.Base(file), "mark_as_read") != summary.Receipt {
			t.Errorf("%s: receipt %t", file, summary.Receipt)
		}
		if !summary.Receipt && (summary.Type == "" || summary.To == "" && summary.Recipient == "") {
			t.Errorf("%s: %+v", file, summary)
		}
	}
}

func BenchmarkCheckLargestSend(b *testing.B) {
	var largest []byte
	for _, file := range checkSendFiles(b) {
		if body, err := os.ReadFile(file); err == nil && len(body) > len(largest) {
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
