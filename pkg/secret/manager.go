package secret

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// Staging labels (AWS: Secrets Manager, "Secret versions").
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
)

// ErrMissing says that the secret, or the version asked for, does not exist or
// is blank.
var ErrMissing = errors.New("secret is missing or blank")

// Version is one version of a secret.
type Version struct {
	Value   Value
	Created time.Time
}

// Source reads the version of a secret that has the staging label. It returns
// ErrMissing where there is none, and any other error where it cannot be known.
type Source interface {
	Fetch(ctx context.Context, stage string) (Version, error)
}

// Manager is a Source that reads one secret from AWS Secrets Manager.
type Manager struct {
	Client *secretsmanager.Client
	ID     string // name or ARN
}

// Fetch implements Source. White space around a secret is not part of it: files
// and shells leave line breaks.
func (m Manager) Fetch(ctx context.Context, stage string) (Version, error) {
	out, err := m.Client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId: &m.ID, VersionStage: &stage,
	})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return Version{}, fmt.Errorf("%s: %w", stage, ErrMissing)
	}
	if err != nil {
		return Version{}, fmt.Errorf("%s: %w", stage, err)
	}
	text := cmp.Or(strings.TrimSpace(aws.ToString(out.SecretString)), strings.TrimSpace(string(out.SecretBinary)))
	if text == "" {
		return Version{}, fmt.Errorf("%s: %w", stage, ErrMissing)
	}
	return Version{NewValue(text), aws.ToTime(out.CreatedDate)}, nil
}

// Name returns the secret's name from its name or ARN, for commands that people
// run: an ARN contains the account too.
func Name(id string) string {
	if !strings.HasPrefix(id, "arn:") {
		return id
	}
	name := id[strings.LastIndexByte(id, ':')+1:]
	if cut := strings.LastIndexByte(name, '-'); cut > 0 && len(name)-cut == 7 {
		name = name[:cut] // Secrets Manager adds a hyphen and six characters
	}
	return name
}
