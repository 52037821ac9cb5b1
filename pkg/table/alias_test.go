package table_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

func TestNoMoreThan32NamesAreFollowed(t *testing.T) {
	db := table.New(harness.Backends.DB, harness.NewTable(t), 0)
	for n := range 60 { // a chain: each name leads to the next one
		p := whatsapp.Pair{fmt.Sprintf("1555010%04d", n), fmt.Sprintf("1555010%04d", n+1)}
		if err := db.PutAlias(t.Context(), p, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	names, err := db.Names(t.Context(), "+1 555 010 0000")
	if err != nil || len(names) != 32 || names[0] != "15550100000" || names[1] != "+1 555 010 0000" || !strings.HasPrefix(names[2], "1555010") {
		t.Errorf("%q %v", names, err)
	}
}
