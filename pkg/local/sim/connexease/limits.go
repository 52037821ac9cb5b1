package connexease

import "errors"

// Validate returns an error unless each limit is at least 1, or 0 to leave it unchanged.
func (l Limits) Validate() error {
	if l.PerSecond < 0 || l.PerMinute < 0 {
		return errors.New("per_second and per_minute must be at least 1, or left out to stay unchanged")
	}
	return nil
}

// Limits returns the rate limits in force.
func (s *Server) Limits() Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.Limits
}
