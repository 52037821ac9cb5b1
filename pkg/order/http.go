package order

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
)

// FromHTTP reads a client's request, whose body is the message itself. It returns a response
// instead where the request is refused.
func FromHTTP(r api.Request, client string) (Order, *api.Response) {
	o := Order{Client: client, Scope: ClientScope(client), Async: prefersAsync(r.Header("prefer"))}
	body, err := r.Body()
	if errors.Is(err, api.ErrTooLarge) {
		return o, refuse(api.RequestTooLarge, "The message is larger than 256 KiB.")
	}
	if err != nil {
		return o, refuse(api.MalformedRequest, "")
	}
	f := faults{}
	if refused := o.message(body, f); refused != nil {
		return o, refused
	}
	checkSpelling(r, f)
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		is := strings.EqualFold(r.Query[name], "true")
		if name != "is_fake" && name != "mmlite" {
			continue
		}
		// An empty value is refused too: a caller that writes ?is_fake wants no real message.
		if !is && !strings.EqualFold(r.Query[name], "false") {
			f.add(name, "true or false")
		}
		if name == "is_fake" {
			o.IsFake = is
		} else {
			o.MMLite = is
		}
	}
	o.setOnUnknown(strings.ToLower(r.Header("on-unknown")), "On-Unknown", f)
	o.setValidFor(r.Header("valid-for"), "Valid-For", f)
	if refused := f.verdict(); refused != nil {
		return o, refused
	}
	if key, there := r.HasHeader("idempotency-key"); there {
		if !ledger.ValidKey(key) {
			return o, refuse(api.MalformedKey, "")
		}
		// API Gateway joins a header that is given twice: "a, a" is not a key of its own.
		if strings.Contains(key, ",") {
			return o, refuse(api.MalformedKey, "An Idempotency-Key header is given once, and has no comma.")
		}
		o.Key = key
	}
	return o, nil
}

// prefersAsync reads a Prefer header (RFC 7240): preferences with parameters, in a list.
func prefersAsync(header string) bool {
	for preference := range strings.SplitSeq(header, ",") {
		name, _, _ := strings.Cut(preference, ";")
		if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
			return true
		}
	}
	return false
}
