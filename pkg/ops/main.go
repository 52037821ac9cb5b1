// Command ops is the operator's program for a stack, on the laptop or deployed: ops <command>
// -stack NAME. The Makefile has a target for each command.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"connexease-functions/pkg/ops/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
