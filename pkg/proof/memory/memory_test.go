package memory

import (
	"os"
	"runtime"
	"testing"
)

func TestAPeakStaysWhenTheMemoryIsGivenBack(t *testing.T) {
	if runtime.GOOS != "linux" {
		if _, err := Peak(os.Getpid()); err == nil {
			t.Error("a system without /proc reports a peak")
		}
		return
	}
	now, err := Resident(os.Getpid())
	if err != nil || now < 1 {
		t.Fatalf("resident are %.1f MB, %v", now, err)
	}
	block := make([]byte, 64<<20)
	for i := range block {
		block[i] = 1
	}
	runtime.KeepAlive(block)
	if peak, err := Peak(os.Getpid()); err != nil || peak < 64 {
		t.Errorf("after 64 MB the peak is %.1f MB, %v", peak, err)
	}
	if _, err := Peak(-1); err == nil {
		t.Error("a process that does not exist has a peak")
	}
}
