// Package loopback keeps web pages away from servers on 127.0.0.1, whether they use DNS rebinding
// or cross-site requests.
package loopback

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
)

// hosts lists the names by which this machine's programs, and containers that SAM runs, address it.
// No web page has one of them as its own.
var hosts = []string{"127.0.0.1", "localhost", "::1", "host.docker.internal"}

// Only returns a handler that refuses requests with a foreign Host or Origin and passes all others
// to next.
func Only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := foreign(r); why != "" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": why})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// foreign says why a request does not come from this machine; "" if it does.
func foreign(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if !slices.Contains(hosts, host) {
		return fmt.Sprintf("host %q is not this machine; use 127.0.0.1", host)
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return "requests from other sites are refused"
	}
	return ""
}
