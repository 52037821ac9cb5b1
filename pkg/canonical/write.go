package canonical

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Append appends v in canonical form (RFC 8785: JSON Canonicalization Scheme): no white space,
// members sorted by the UTF-16 code units of their names, one spelling of each string and number.
//
// It never makes two contents equal, and so goes on where RFC 8785 stops: integers that a double
// cannot hold keep all their digits (ids may be written so), as do numbers out of a double's
// range; lone surrogates stay escapes; bytes that are not UTF-8 stay.
func (v Value) Append(to []byte) []byte {
	switch v.kind {
	case '{':
		sorted := slices.Clone(v.members)
		slices.SortStableFunc(sorted, func(a, b member) int { return compareNames(a, b) })
		to = append(to, '{')
		for i, m := range sorted {
			if i > 0 {
				to = append(to, ',')
			}
			to = append(append(append(to, '"'), m.name...), '"', ':')
			to = m.value.Append(to)
		}
		return append(to, '}')
	case '[':
		to = append(to, '[')
		for i, e := range v.elements {
			if i > 0 {
				to = append(to, ',')
			}
			to = e.Append(to)
		}
		return append(to, ']')
	case '"':
		return appendString(to, v.text)
	case '0':
		return appendNumber(to, v.text)
	}
	return append(to, v.text...)
}

// compareNames compares by UTF-16 code units. It differs from comparing bytes where characters
// over U+FFFF meet those from U+E000 on, and for names that are written with escapes.
func compareNames(a, b member) int {
	if ascii(a.name) && ascii(b.name) {
		return bytes.Compare([]byte(a.name), []byte(b.name))
	}
	return cmp.Or(slices.Compare(units(a.raw), units(b.raw)), bytes.Compare([]byte(a.name), []byte(b.name)))
}

// ascii reports whether a name in canonical form is its own content.
func ascii(name string) bool {
	for i := range len(name) {
		if name[i] == '\\' || name[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func units(quoted []byte) []uint16 {
	var all []uint16
	walk(quoted, func(r rune, _ []byte) { all = utf16.AppendRune(all, r) }, func(unit uint16) { all = append(all, unit) })
	return all
}

// walk yields a string's characters, with the bytes of one that is not an escape, and its lone
// surrogates.
func walk(quoted []byte, char func(r rune, written []byte), lone func(unit uint16)) {
	for s := quoted[1 : len(quoted)-1]; len(s) > 0; {
		if s[0] != '\\' {
			r, n := utf8.DecodeRune(s)
			char(r, s[:n])
			s = s[n:]
			continue
		}
		if s[1] != 'u' {
			char(rune(short[s[1]]), nil)
			s = s[2:]
			continue
		}
		unit := hex(s[2:6])
		s = s[6:]
		if !utf16.IsSurrogate(rune(unit)) {
			char(rune(unit), nil)
			continue
		}
		if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
			if r := utf16.DecodeRune(rune(unit), rune(hex(s[2:6]))); r != utf8.RuneError {
				char(r, nil)
				s = s[6:]
				continue
			}
		}
		lone(unit)
	}
}

// short are the escapes of two characters.
var short = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func hex(digits []byte) uint16 {
	var n uint16
	for _, c := range digits {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c | 0x20 - 'a' + 10
		}
		n = n<<4 | uint16(c)
	}
	return n
}

func appendString(to, quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 { // valid JSON has no control characters outside escapes
		return append(append(append(to, '"'), inner...), '"')
	}
	to = append(to, '"')
	walk(quoted, func(r rune, written []byte) {
		switch {
		case len(written) > 0:
			to = append(to, written...)
		case r == '"', r == '\\':
			to = append(to, '\\', byte(r))
		case r >= ' ':
			to = utf8.AppendRune(to, r)
		case r == '\b':
			to = append(to, `\b`...)
		case r == '\f':
			to = append(to, `\f`...)
		case r == '\n':
			to = append(to, `\n`...)
		case r == '\r':
			to = append(to, `\r`...)
		case r == '\t':
			to = append(to, `\t`...)
		default:
			to = appendUnit(to, uint16(r)) // #nosec G115 -- under U+0020
		}
	}, func(unit uint16) { to = appendUnit(to, unit) })
	return append(to, '"')
}

func appendUnit(to []byte, unit uint16) []byte {
	const digits = "0123456789abcdef"
	return append(to, '\\', 'u', digits[unit>>12], digits[unit>>8&15], digits[unit>>4&15], digits[unit&15])
}

const (
	// certainlyExact is the number of digits that a double holds of any number.
	certainlyExact = 15
	// longestExponent is in digits; a number whose exponent has more stays as it is written.
	longestExponent = 9
	// ECMAScript's Number::toString writes exponents outside of these (RFC 8785, 3.2.2.3).
	leastPlain, mostPlain = -5, 21
)

// appendNumber writes a number as ECMAScript does, but from its own digits where a double would
// lose some of an integer.
func appendNumber(to, text []byte) []byte {
	digits, negative := bytes.TrimPrefix(text, []byte("-")), text[0] == '-'
	mantissa, power := digits, 0
	if e := bytes.IndexAny(digits, "eE"); e >= 0 {
		mantissa = digits[:e]
		written := bytes.TrimPrefix(digits[e+1:], []byte("+"))
		unsigned := bytes.TrimLeft(bytes.TrimPrefix(written, []byte("-")), "0")
		if len(unsigned) > longestExponent && len(bytes.Trim(mantissa, "0.")) > 0 {
			return append(to, text...)
		}
		power, _ = strconv.Atoi(string(unsigned))
		if written[0] == '-' {
			power = -power
		}
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	all := append(slices.Clone(whole), fraction...)
	point := len(whole) + power // the decimal point stands before all[point]
	leading := len(all)
	all = bytes.TrimLeft(all, "0")
	point -= leading - len(all)
	all = bytes.TrimRight(all, "0")
	if len(all) == 0 {
		return append(to, '0') // -0 too
	}
	if len(all) > certainlyExact && point < len(all) {
		all, point = nearest(all, point)
	}
	if negative {
		to = append(to, '-')
	}
	switch n := len(all); {
	case n <= point && point <= mostPlain:
		return append(append(to, all...), bytes.Repeat([]byte("0"), point-n)...)
	case 0 < point && point <= mostPlain:
		return append(append(append(to, all[:point]...), '.'), all[point:]...)
	case leastPlain <= point && point <= 0:
		return append(append(append(to, "0."...), bytes.Repeat([]byte("0"), -point)...), all...)
	}
	to = append(to, all[0])
	if len(all) > 1 {
		to = append(append(to, '.'), all[1:]...)
	}
	to = append(to, 'e')
	if point > 0 {
		to = append(to, '+')
	}
	return strconv.AppendInt(to, int64(point-1), 10)
}

// nearest returns the digits of the double next to a fraction, the fewest that name it; the
// fraction's own where a double has no such number.
func nearest(digits []byte, point int) ([]byte, int) {
	f, err := strconv.ParseFloat("0."+string(digits)+"e"+strconv.Itoa(point), 64)
	if err != nil || f == 0 {
		return digits, point
	}
	mantissa, exponent, _ := bytes.Cut(strconv.AppendFloat(nil, f, 'e', -1, 64), []byte("e"))
	power, _ := strconv.Atoi(string(exponent))
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	return append(whole[:1:1], fraction...), power + 1
}
