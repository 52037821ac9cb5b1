package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"connexease-functions/pkg/secret"
)

// Credential is one accepted token under the name that logs and items may show.
type Credential struct {
	Name    string
	Sender  string // that it sends from; empty: any
	ReadAll bool   // it may read every conversation
	hash    [sha256.Size]byte
	end     time.Time // zero: accepted without end
}

// NewCredential returns a credential that is accepted until end, or without end
// where that is zero. A blank value is an error: it would accept a blank token.
func NewCredential(name string, value secret.Value, end time.Time) (Credential, error) {
	if value.Blank() {
		return Credential{}, secret.ErrMissing
	}
	return Credential{Name: name, hash: value.Hash(), end: end}, nil
}

// Credentials is where a Verifier finds what is accepted now.
type Credentials = secret.Cache[[]Credential]

// Verifier checks Authorization headers against a set of credentials.
type Verifier struct {
	credentials *Credentials
	early       *secret.Cooldown // of refreshes after a mismatch
	refused     *memory
	now         func() time.Time
}

// Early refreshes: an unknown token may make a process read the secret
// early, five times at once and once a second after that. A token that a freshly read secret
// refused causes no read for half a minute, so that a caller with an old key, however often it
// repeats, does not delay another's new one.
const (
	earlyBurst = 5
	earlyEvery = time.Second
	refusedFor = 30 * time.Second
)

// NewVerifier returns a Verifier. A token that matches nothing refreshes the credentials
// early, so that a rotated one works at once; bad tokens cause a bounded number of calls.
func NewVerifier(credentials *Credentials, now func() time.Time) *Verifier {
	return &Verifier{
		credentials: credentials, early: secret.NewCooldown(earlyEvery, earlyBurst, now),
		refused: newMemory(refusedFor), now: secret.Wall(now),
	}
}

// Result is an accepted request's.
type Result struct {
	Name    string        // of the credential
	Sender  string        // of the credential
	ReadAll bool          // of the credential
	Stale   time.Duration // for how long the credentials could not be refreshed; 0 = fresh
}

// Verify checks a header's value. It returns ErrMissing, ErrMalformed or ErrWrong
// for a header that is refused, and any other error where the credentials could
// not be read: then nothing is known about the token.
func (v *Verifier) Verify(ctx context.Context, header string) (Result, error) {
	token, err := ParseBearer(header)
	if err != nil {
		return Result{}, err
	}
	hash := sha256.Sum256([]byte(token))
	accepted, stale, err := v.credentials.Get(ctx)
	if err != nil {
		return Result{}, err
	}
	if c, ok := match(accepted, hash, v.now()); ok {
		return Result{c.Name, c.Sender, c.ReadAll, stale}, nil
	}
	arrived := v.now()
	if v.refused.has(hash, arrived) || !v.early.Allow() {
		return Result{}, ErrWrong
	}
	accepted, stale, err = v.credentials.Refresh(ctx)
	if err != nil {
		return Result{}, err
	}
	if c, ok := match(accepted, hash, v.now()); ok {
		return Result{c.Name, c.Sender, c.ReadAll, stale}, nil
	}
	if !v.credentials.Began().Before(arrived) { // else an older load was joined, or a new one failed
		v.refused.add(hash, arrived)
	}
	return Result{}, ErrWrong
}

// match compares with every credential, whether or not an earlier one matched, so
// that the duration says nothing.
func match(all []Credential, hash [sha256.Size]byte, now time.Time) (accepted Credential, found bool) {
	for _, c := range all {
		equal := subtle.ConstantTimeCompare(c.hash[:], hash[:]) == 1
		if equal && !found && (c.end.IsZero() || now.Before(c.end)) {
			accepted, found = c, true
		}
	}
	return accepted, found
}

// Names of the credentials that Rotating returns.
const (
	NameCurrent  = "current"
	NamePrevious = "previous"
)

// Rotating loads a secret's current version, and its previous one until grace has
// passed since the current one was created. Outside that time it makes one
// call. A previous version that cannot be read is an error while it counts,
// because valid requests would be refused without it.
func Rotating(source secret.Source, grace time.Duration, now func() time.Time) func(context.Context) ([]Credential, error) {
	now = secret.Wall(now)
	return func(ctx context.Context) ([]Credential, error) {
		current, err := secret.FetchBare(ctx, source, secret.Current)
		if err != nil {
			return nil, err
		}
		c, err := NewCredential(NameCurrent, current.Value, time.Time{})
		if err != nil {
			return nil, err
		}
		accepted := []Credential{c}
		end := current.Created.Add(grace)
		if !now().Before(end) {
			return accepted, nil
		}
		previous, err := secret.FetchBare(ctx, source, secret.Previous)
		if errors.Is(err, secret.ErrMissing) || errors.Is(err, secret.ErrUnusable) {
			return accepted, nil // no caller can have been using it
		}
		if err != nil {
			return nil, err
		}
		p, err := NewCredential(NamePrevious, previous.Value, end)
		if err != nil {
			return nil, err
		}
		return append(accepted, p), nil
	}
}
