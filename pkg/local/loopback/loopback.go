// Package loopback keeps the pages of a browser away from servers on 127.0.0.1: by a name of their
// own that they made point here, or by requests across sites.
package loopback

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
)

// hosts are the names by which this machine is called: by its own programs, and by containers that
// SAM runs. No page has one of them as its own.
var hosts = []string{"127.0.0.1", "localhost", "::1", "host.docker.internal"}

// Only returns a handler that refuses a foreign Host or Origin and passes all else to next.
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

// foreign says why a request is not one of this machine's, or nothing.
func foreign(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if !slices.Contains(hosts, host) {
		return fmt.Sprintf("host %q is not this machine; use 127.0.0.1", host)
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return "requests of other sites are refused"
	}
	return ""
}
