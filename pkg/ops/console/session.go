package console

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxSessions bounds the memory: the oldest ends first.
	maxSessions = 100
	cookieName  = "console-"
)

var (
	errNoSession = errors.New("this address needs the token that the console printed at its start. Open that address, in this browser")
	errNoPage    = errors.New("there is no such page")
)

// session is one browser's.
type session struct {
	id, csrf string
	begun    time.Time

	mu     sync.Mutex
	masked bool
	notice string // for the next page
	done   *done  // on the laptop, the last

	jobs map[string]*job // by name; the console's lock guards them
}

type sessionKey struct{}

func sessionOf(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

func (s *session) isMasked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.masked
}

func (s *session) say(notice string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notice = notice
}

// said returns the notice once.
func (s *session) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	notice := s.notice
	s.notice = ""
	return notice
}

type sessions struct {
	mu  sync.Mutex
	all map[string]*session
}

// cookie returns the name of the cookie: browsers send cookies to every port of a host.
func cookie(r *http.Request) string {
	_, port, _ := net.SplitHostPort(r.Host)
	return cookieName + port
}

func (s *sessions) of(r *http.Request) *session {
	found, err := r.Cookie(cookie(r))
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[found.Value]
}

func (s *sessions) begin(w http.ResponseWriter, r *http.Request, masked bool) *session {
	begun := &session{id: NewToken(), csrf: NewToken(), begun: time.Now(), masked: masked, jobs: map[string]*job{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]*session{}
	}
	for len(s.all) >= maxSessions {
		var oldest *session
		for _, one := range s.all {
			if oldest == nil || one.begun.Before(oldest.begun) {
				oldest = one
			}
		}
		delete(s.all, oldest.id)
	}
	s.all[begun.id] = begun
	// #nosec G124 -- it is for 127.0.0.1, which has no TLS
	http.SetCookie(w, &http.Cookie{Name: cookie(r), Value: begun.id, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return begun
}
