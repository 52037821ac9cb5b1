// Command try delivers every JSON body of a folder, webhook bodies and sends, to a laptop stack of
// its own, and prints what was stored for each. It fails if anything was lost: make try
// BODIES=folder.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"connexease-functions/pkg/canonical"
	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/local/parent"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/must"
)

func main() {
	folder := flag.String("bodies", "", "folder with the bodies, *.json at any depth")
	starter := flag.Int("parent", 0, "process id of the parent; this process ends with it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	go parent.Follow(*starter, stop)
	if err := run(ctx, *folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string) error {
	files, err := find(folder)
	if err != nil {
		return err
	}
	return must.Try(func() {
		s := must.Get(stack.Start(ctx, stack.Options{Root: ".", Progress: func(line string) { fmt.Println(line) }}))
		defer s.Close()
		// Callbacks of a send would be stored alongside it.
		must.OK(s.Gateway.SetCallbacks(connexease.Callbacks{Off: true}))
		own := ours()
		equal := 0
		var counted [3]int // by verdict
		for _, file := range files {
			body := must.Get(os.ReadFile(file))
			deliver := receive
			if isSend(body) {
				deliver = send
			}
			found, err := deliver(ctx, s, body)
			if err != nil {
				must.OK(fmt.Errorf("%s: %w", file, err))
			}
			if fixture := own[content(body)]; fixture != "" {
				found.add("equals the fixture %s", fixture)
				equal++
			}
			fmt.Printf("%s  %s\n", must.Get(filepath.Rel(folder, file)), found)
			counted[found.verdict]++
			must.OK(empty(ctx, s))
		}
		fmt.Printf("\n%d bodies: %d stored whole, %d refused, %d lost\n", len(files), counted[kept], counted[refused], counted[lost])
		if equal > 0 {
			fmt.Printf("%d equal a fixture: where these bodies are somebody else's, that fixture is not the project's own\n", equal)
		}
		must.Hold(counted[lost] == 0, "something was lost: see LOST above")
	})
}

// find returns the paths of a folder's bodies.
func find(folder string) (files []string, err error) {
	if folder == "" {
		return nil, errors.New("name a folder of JSON bodies: make try BODIES=folder")
	}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.EqualFold(filepath.Ext(path), ".json") {
			files = append(files, path)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no *.json", folder)
	}
	return files, err
}

// ours returns the names of the fixtures by their content.
func ours() map[string]string {
	all := map[string]string{}
	for _, name := range fixtures.Names() {
		body, _ := fixtures.Body(name) // its name is one of theirs
		all[content(body)] = name
	}
	for _, name := range fixtures.Sends() {
		body, _ := fixtures.Send(name)
		all[content(body)] = name
	}
	return all
}

// content returns JSON in canonical form; any other body unchanged.
func content(body []byte) string {
	v, _, err := canonical.Parse(body)
	if err != nil {
		return string(body)
	}
	return string(v.Append(nil))
}

// isSend reports whether a body is a message to send: a webhook's body has entries.
func isSend(body []byte) bool {
	var o map[string]json.RawMessage
	if json.Unmarshal(bytes.TrimSpace(body), &o) != nil {
		return false
	}
	_, product := o["messaging_product"]
	_, entry := o["entry"]
	_, object := o["object"]
	return product && !entry && !object
}
