package eventpattern

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var (
	ipv4 = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
	ipv6 = regexp.MustCompile(`^[0-9a-fA-F:]*:[0-9a-fA-F:]*$`)
)

// address returns an IP address in hexadecimal digits. Numbers of an IPv4 address are decimal even
// with leading zeros.
func address(text string) (digits string, ok bool) {
	switch {
	case ipv4.MatchString(text) && len(text) <= len("255.255.255.255"):
		for part := range strings.SplitSeq(text, ".") {
			n, err := strconv.ParseUint(part, 10, 8)
			if err != nil {
				return "", false
			}
			digits += fmt.Sprintf("%02X", n)
		}
		return digits, true
	case ipv6.MatchString(text):
		a, err := netip.ParseAddr(text)
		return fmt.Sprintf("%X", a.Unmap().AsSlice()), err == nil
	}
	return "", false
}

// addressRange is a block of addresses, first and last, in hexadecimal digits.
type addressRange struct{ first, last string }

// cidr parses a block such as 10.0.0.0/8.
func cidr(text string) (addressRange, error) {
	base, mask, _ := strings.Cut(text, "/")
	digits, ok := address(base)
	bits, err := strconv.Atoi(mask)
	if !ok || err != nil || bits < 0 || bits >= 4*len(digits) {
		return addressRange{}, errors.New("cidr accepts an address, a slash and the bits of its mask, fewer than the address has")
	}
	var first, last strings.Builder
	for i := range len(digits) {
		digit, _ := strconv.ParseUint(digits[i:i+1], 16, 8)
		free := min(max(4*(i+1)-bits, 0), 4)
		fmt.Fprintf(&first, "%X", digit&^(1<<free-1))
		fmt.Fprintf(&last, "%X", digit|(1<<free-1))
	}
	return addressRange{first.String(), last.String()}, nil
}

// matches compares digit by digit and stops at the first that is inside the range, as Event Ruler
// does: so an IPv6 address whose first digits are an IPv4 address matches that one too.
func (r addressRange) matches(v any) bool {
	text, _ := v.(string)
	digits, ok := address(text)
	if !ok {
		return false
	}
	atFirst, atLast := true, true // whether the digits so far equal the bound's
	for i := range min(len(digits), len(r.first)) {
		d := digits[i]
		if atFirst && d < r.first[i] || atLast && d > r.last[i] {
			return false
		}
		atFirst, atLast = atFirst && d == r.first[i], atLast && d == r.last[i]
		if !atFirst && !atLast {
			return true
		}
	}
	return len(digits) >= len(r.first)
}
