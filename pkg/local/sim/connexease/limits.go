package connexease

import (
	"cmp"
	"errors"
	"maps"
	"time"
)

// Validate returns an error unless each limit is at least 1, or 0 to leave it unchanged.
func (l Limits) Validate() error {
	if l.PerSecond < 0 || l.PerMinute < 0 {
		return errors.New("per_second and per_minute must be at least 1, or left out to stay unchanged")
	}
	for _, own := range l.Numbers {
		if err := own.Validate(); err != nil || own.Numbers != nil {
			return cmp.Or(err, errors.New("the limits of a number have no numbers"))
		}
	}
	return nil
}

// over returns l with what it leaves out as it was before.
func (l Limits) over(before Limits) Limits {
	return Limits{PerSecond: cmp.Or(l.PerSecond, before.PerSecond), PerMinute: cmp.Or(l.PerMinute, before.PerMinute), Numbers: before.Numbers}
}

// Limits returns the rate limits in force.
func (s *Server) Limits() Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.Limits
}

// SetLimits sets the rate limits from now on; 0 leaves one unchanged.
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	numbers := maps.Clone(s.config.Limits.Numbers)
	s.config.Limits = l.over(s.config.Limits)
	for number, own := range l.Numbers {
		if numbers == nil {
			numbers = map[string]Limits{}
		}
		numbers[number] = own.over(numbers[number])
	}
	s.config.Limits.Numbers = numbers
}

// limitsOf expects the lock to be held.
func (s *Server) limitsOf(number string) Limits {
	return s.config.Limits.Numbers[number].over(s.config.Limits)
}

// Usage is how much of a number's rate limits is used.
type Usage struct {
	Number                 string // its phone_number_id
	LastSecond, LastMinute int
	Limits                 Limits
}

// Usage returns the memory of the rate limits, a number each.
func (s *Server) Usage() (all []Usage) {
	if s.config.Numbers == nil {
		return nil
	}
	numbers := s.config.Numbers()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	for _, n := range numbers {
		window := s.windows[n.Key]
		number := cmp.Or(n.PhoneNumberID, s.config.PhoneNumberID)
		all = append(all, Usage{number, len(window) - countUntil(window, now.Add(-time.Second)), len(window) - countUntil(window, now.Add(-time.Minute)), s.limitsOf(number)})
	}
	return all
}
