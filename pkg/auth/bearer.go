// Package auth decides whether a request's Authorization header names one of the
// credentials that are accepted now.
package auth

import (
	"errors"
	"strings"
)

// Why a header was refused. The response distinguishes ErrMissing, ErrMalformed
// and ErrWrong by shape only; nothing shows how near a token was.
var (
	ErrMissing   = errors.New("no Authorization header")
	ErrMalformed = errors.New("authorization is not Bearer <token>")
	ErrWrong     = errors.New("token is not accepted")
)

// Why a header was refused, in words for logs.
const (
	ReasonNoToken        = "no_token"
	ReasonMalformedToken = "malformed_token"
	ReasonWrongToken     = "wrong_token"
)

// Refusal returns the Gateway's code for a refused header (Connexease Gateway API: Error
// codes) and the reason for logs; both are empty for any other error.
func Refusal(err error) (code, reason string) {
	switch {
	case errors.Is(err, ErrMissing):
		return "AUTH_002", ReasonNoToken
	case errors.Is(err, ErrMalformed):
		return "AUTH_003", ReasonMalformedToken
	case errors.Is(err, ErrWrong):
		return "AUTH_001", ReasonWrongToken
	}
	return "", ""
}

// ParseBearer returns the token of an Authorization header's value (RFC 6750,
// section 2.1): the scheme in any case, one or more spaces, one token of visible
// ASCII. It returns ErrMissing for a blank value and ErrMalformed for any other
// shape, two joined headers included.
func ParseBearer(value string) (string, error) {
	value = strings.Trim(value, " \t")
	if value == "" {
		return "", ErrMissing
	}
	scheme, token, _ := strings.Cut(value, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", ErrMalformed
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return "", ErrMalformed
		}
	}
	return token, nil
}
