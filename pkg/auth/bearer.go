// Package auth decides whether a request's Authorization header names one of the
// credentials that are accepted now.
package auth

import (
	"errors"
	"strings"

	"connexease-functions/pkg/api"
)

// Why a header was refused. The response distinguishes ErrMissing, ErrMalformed
// and ErrWrong by shape only; nothing shows how near a token was.
var (
	ErrMissing   = errors.New("no Authorization header")
	ErrMalformed = errors.New("authorization is not Bearer <token>")
	ErrWrong     = errors.New("token is not accepted")
)

// Reason is the stable word, for logs, for why a header was refused.
type Reason string

// The reasons of ErrMissing, ErrMalformed and ErrWrong.
const (
	ReasonNoToken        Reason = "no_token"
	ReasonMalformedToken Reason = "malformed_token"
	ReasonWrongToken     Reason = "wrong_token"
)

// Refusal returns the Gateway's code for a refused header (Connexease Gateway API: Error
// codes) and the reason for logs; both are empty for any other error.
func Refusal(err error) (api.Code, Reason) {
	switch {
	case errors.Is(err, ErrMissing):
		return api.NoToken, ReasonNoToken
	case errors.Is(err, ErrMalformed):
		return api.MalformedToken, ReasonMalformedToken
	case errors.Is(err, ErrWrong):
		return api.WrongToken, ReasonWrongToken
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
