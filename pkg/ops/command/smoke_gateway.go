package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/table"
)

// tick says what the Gateway must forward, as its dashboard names it.
const tick = "in the Gateway's dashboard tick messages, message_status (sent, delivered, failed: without it no unknown send ever settles), " +
	"read, message_template_status and account"

// hosts are the Gateway's: what the template has, and what the Gateway's pages say.
var hosts = []string{"https://proxy.gateway.connexease.com", "https://api.gateway.connexease.com"}

// gateway looks whether the Gateway is where a deployed stack expects it.
func (s *smoke) gateway(ctx context.Context) {
	base := strings.TrimRight(s.target.parameters["GatewayUrl"], "/")
	if base == "" {
		return
	}
	if s.isGateway(ctx, base) {
		s.ok("the Gateway responds at " + base)
		return
	}
	for _, other := range hosts {
		if other != base && s.isGateway(ctx, other) {
			s.bad("the Gateway does not respond at "+base, "it does at "+other+": deploy with GatewayUrl="+other)
			return
		}
	}
	s.bad("the Gateway does not respond at "+base, "compare GatewayUrl with the address in the Gateway's dashboard, or try from a different network")
}

// isGateway reports whether a request without a key gets the Gateway's own refusal.
func (s *smoke) isGateway(ctx context.Context, base string) bool {
	r := s.request(ctx, http.MethodPost, base+"/v1/wa/message", "", "", "{}")
	var answer gateway.Response
	return r.status == http.StatusUnauthorized && json.Unmarshal([]byte(r.body), &answer) == nil && !answer.IsSuccess && answer.Errors != nil && answer.Errors.Code != ""
}

// enough is how many items show whether statuses come: a send and its statuses are next to each
// other in the table.
const enough = 20_000

// statuses warns if messages were accepted and no status of any came.
func (s *smoke) statuses(ctx context.Context) {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	read, accepted, came := 0, 0, 0
	err := s.table.Scan(looking, table.Selection{
		Where: "#kind = :status OR #kind = :send AND attribute_exists(sent_wamid)", Attributes: "#kind, #status, is_fake",
		Names: map[string]string{"#kind": "kind", "#status": "status"}, Values: map[string]string{":status": "status", ":send": "send"},
		Page: func(n int) {
			if read += n; read >= enough {
				stop()
			}
		},
	}, func(it table.Item) {
		switch {
		case slices.Contains([]string{"sent", "delivered", "failed"}, it.Text("status")):
			came++
		case it.Text("kind") == "send" && it["is_fake"] == nil:
			accepted++
		}
	})
	switch {
	case err != nil && read < enough:
		s.bad("the table cannot be read: "+why(err).Error(), "your own credentials need dynamodb:Scan for this")
	case came > 0:
		s.ok("statuses of messages arrive")
	case accepted == 0:
		s.off("statuses: no message was sent yet, apart from the sandbox. Before one is, " + tick)
	default:
		s.warn(fmt.Sprintf("%d messages were accepted, and no status of any came", accepted), "unless that was a minute ago, "+tick)
	}
}
