package connexease

import "errors"

// Validate names everything that is wrong.
func (l Limits) Validate() error {
	if l.PerSecond < 0 || l.PerMinute < 0 {
		return errors.New("per_second and per_minute must be at least 1, or left out to stay as they are")
	}
	return nil
}

// Limits returns the rate limits in force.
func (s *Server) Limits() Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.Limits
}
