package template

import (
	"maps"
	"slices"
	"testing"
)

func TestTheTemplateFitsTheCode(t *testing.T) {
	p := project(t, nil)
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		t.Run(name, func(t *testing.T) {
			for _, fault := range checks[name](p) {
				t.Error(fault)
			}
		})
	}
}
