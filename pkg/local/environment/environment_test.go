package environment

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestWhatIsWrittenIsReadByShellsAndPrograms(t *testing.T) {
	folder := t.TempDir()
	if _, err := Read(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	want := map[string]string{"API_URL": "http://127.0.0.1:8080", "CLIENT_KEY": `it's "$HOME" \ `, "EMPTY": ""}
	if err := Write(folder, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(folder)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("read %q, %v", got, err)
	}
	for name, value := range want {
		out, err := exec.Command("sh", "-euc", `. "`+filepath.Join(folder, Name)+`"; printf %s "$`+name+`"`).Output()
		if err != nil || string(out) != value {
			t.Errorf("a shell has %s=%q, %v", name, out, err)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v", left, err)
	}
}
