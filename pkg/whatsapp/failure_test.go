package whatsapp

import (
	"slices"
	"strings"
	"testing"
)

func TestMetasCodesAreExplained(t *testing.T) {
	// WhatsApp Cloud API: Error codes.
	for _, code := range []int{
		0, 3, 10, 190, 200, 230, 299, 368, 130497, 131031, 4, 80007, 130429, 131048, 131056, 133016, 1, 2, 33, 100, 130472,
		131000, 131005, 131008, 131009, 131016, 131021, 131026, 131037, 131042, 131045, 131047, 131049, 131050, 131051, 131052, 131053, 131055, 131057,
		132000, 132001, 132005, 132007, 132012, 132015, 132016, 132068, 132069, 133000, 133004, 133005, 133006, 133008, 133009, 133010, 133015, 134011, 135000,
	} {
		if f, ok := Explain(code); !ok || f.Code != code {
			t.Errorf("%d: %+v, %v", code, f, ok)
		}
	}
	for _, code := range []int{-1, 5, 199, 300, 999999} {
		if f, ok := Explain(code); ok {
			t.Errorf("%d is explained: %+v", code, f)
		}
	}
	for code, want := range map[int]string{
		131047: "template", 131026: "Check the number", 131049: "24 hours", 131050: "no marketing", 131051: "reference", 131053: "link",
		132000: "each variable", 132001: "language", 132015: "pause", 132016: "new template", 130472: "not billed",
	} {
		if f, _ := Explain(code); !strings.Contains(f.Do, want) {
			t.Errorf("%d says %q, not what to do: %s", code, f.Do, want)
		}
	}
	codes := FailureCodes()
	if !slices.IsSorted(codes) || len(codes) < 50 {
		t.Errorf("codes %v", codes)
	}
	for _, code := range codes {
		f, _ := Explain(code)
		for _, text := range []string{f.Meaning, f.Do} {
			if len(text) < 10 || !strings.HasSuffix(text, ".") || strings.ToUpper(text[:1]) != text[:1] {
				t.Errorf("%d: %q is not a sentence", code, text)
			}
		}
	}
}
