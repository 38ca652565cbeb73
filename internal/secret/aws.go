package secret

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"sluice/internal/problem"
)

// AWS configures access to AWS Secrets Manager.
type AWS struct {
	// AccessKey and SecretKey are the credentials. If both are "", the AWS SDK looks for some
	// (environment, profile, container, instance).
	AccessKey, SecretKey string
	// Region is a region such as "us-east-1".
	Region string
	// Name is the entry of the root key. Prefix begins the names of the other entries.
	Name, Prefix string
	// Patience is how long a start waits for AWS in total; 0 means 10 seconds.
	Patience time.Duration
}

const awsPatience = 10 * time.Second

// awsSource stores each secret in an entry of its own, as Flowise does. An entry may hold the text
// itself or a JSON object, as the AWS console creates it. In an object the field with the
// variable's name counts, or the only one. The root key's entry may hold all secrets as fields.
type awsSource struct {
	AWS
	until  time.Time
	client *secretsmanager.Client
	shared *entry // the root key's entry once it has been read
}

// entry is the content of one entry, or its absence.
type entry struct {
	name, text string
	absent     bool
}

func newAWSSource(c AWS) *awsSource {
	return &awsSource{AWS: c, until: time.Now().Add(cmp.Or(c.Patience, awsPatience))}
}

// Get reads the secret's entry, or its field in the root key's entry.
func (a *awsSource) Get(ctx context.Context, n Name) (text, where string, err error) {
	ctx, cancel := context.WithDeadline(ctx, a.until)
	defer cancel()
	own := a.Name
	if n != Root {
		own = a.Prefix + n.awsName()
	}
	e, err := a.read(ctx, n, own)
	if n != Root && (err != nil || e.absent) {
		if text, where := a.fromShared(ctx, n); where != "" {
			return text, where, nil
		}
	}
	if err != nil || e.absent {
		return "", "", err
	}
	text, ok := e.field(n, true)
	if !ok || strings.TrimSpace(text) == "" {
		return "", "", problem.Newf(problem.Invalid, "The entry %s in AWS Secrets Manager (%s) contains no text for "+
			"%s.", own, a.variable(n), n).
			WithNext("Store the secret itself as text, or a JSON object with the field " + string(n) + ".")
	}
	return strings.TrimSpace(text), a.place(own), nil
}

// fromShared looks in the root key's entry for a secret without an entry of its own.
func (a *awsSource) fromShared(ctx context.Context, n Name) (text, where string) {
	e, err := a.read(ctx, Root, a.Name)
	if err != nil || e.absent {
		return "", ""
	}
	text, ok := e.field(n, false)
	if text = strings.TrimSpace(text); !ok || text == "" {
		return "", ""
	}
	return text, a.place(a.Name) + ", field " + string(n)
}

func (a *awsSource) place(entry string) string {
	return "AWS Secrets Manager, " + entry + " in " + a.Region
}

// variable is the variable that determines the entry's name.
func (a *awsSource) variable(n Name) string {
	if n == Root {
		return "SECRETKEY_AWS_NAME"
	}
	return "SECRETKEY_AWS_AUTH_PREFIX"
}

func (a *awsSource) read(ctx context.Context, n Name, name string) (entry, error) {
	if name == a.Name && a.shared != nil {
		return *a.shared, nil
	}
	if err := a.connect(ctx); err != nil {
		return entry{}, err
	}
	out, err := a.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	e := entry{name: name}
	_, e.absent = errors.AsType[*types.ResourceNotFoundException](err)
	switch {
	case err != nil && !e.absent:
		return entry{}, a.explain(n, name, "reading", "secretsmanager:GetSecretValue", err)
	case e.absent:
	case out.SecretString != nil:
		e.text = *out.SecretString
	default:
		e.text = string(out.SecretBinary)
	}
	if name == a.Name {
		a.shared = &e
	}
	return e, nil
}

// field is the text of a secret in an entry. own means that the entry belongs to the secret, so
// that a plain text, or the only field of an object, is accepted too.
func (e entry) field(n Name, own bool) (string, bool) {
	var fields map[string]any
	if !strings.HasPrefix(strings.TrimSpace(e.text), "{") || json.Unmarshal([]byte(e.text), &fields) != nil {
		return e.text, own
	}
	names := []string{string(n)}
	if n == Root {
		names = append(names, "FLOWISE_SECRETKEY_OVERWRITE")
	}
	if own {
		names = append(names, e.name)
	}
	for _, name := range names {
		if text, ok := fields[name].(string); ok {
			return text, true
		}
	}
	if own && len(fields) == 1 {
		for name, value := range fields {
			other, known := ParseName(name)
			text, ok := value.(string)
			return text, ok && (!known || other == n)
		}
	}
	return "", false
}

// previous is the value of the root key's entry before it was changed in AWS; "" without one.
func (a *awsSource) previous(ctx context.Context) string {
	ctx, cancel := context.WithDeadline(ctx, a.until)
	defer cancel()
	if a.connect(ctx) != nil {
		return ""
	}
	stage := "AWSPREVIOUS"
	out, err := a.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId:     &a.Name,
		VersionStage: &stage,
	})
	if err != nil || out.SecretString == nil {
		return ""
	}
	text, _ := entry{name: a.Name, text: *out.SecretString}.field(Root, true)
	return strings.TrimSpace(text)
}

func (a *awsSource) connect(ctx context.Context) error {
	if a.client != nil {
		return nil
	}
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(a.Region), awsconfig.WithRetryMaxAttempts(3)}
	if a.AccessKey != "" && a.SecretKey != "" {
		options = append(
			options,
			awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(a.AccessKey, a.SecretKey, "")),
		)
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return problem.New(problem.Invalid, "SECRETKEY_STORAGE_TYPE is aws, but the AWS settings on this machine "+
			"cannot be read: "+err.Error()).WithCause(err)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return problem.New(problem.Invalid, "SECRETKEY_STORAGE_TYPE is aws, but there are no AWS credentials: "+
			"SECRETKEY_AWS_ACCESS_KEY and SECRETKEY_AWS_SECRET_KEY are not set, and the AWS SDK finds none.").
			WithNext("Set the two variables, or give this machine a role. Until then Sluice does not start and " +
				"creates no key.").
			WithCause(err)
	}
	a.client = secretsmanager.NewFromConfig(cfg)
	return nil
}

// Keep creates the entry of the root key.
func (a *awsSource) Keep(ctx context.Context, n Name, text string) (kept, where string, err error) {
	ctx, cancel := context.WithDeadline(ctx, a.until)
	defer cancel()
	if err := a.connect(ctx); err != nil {
		return "", "", err
	}
	about := "Root key of Sluice: without it the secrets in its database cannot be opened."
	_, err = a.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name:         &a.Name,
		SecretString: &text,
		Description:  &about,
	})
	if _, exists := errors.AsType[*types.ResourceExistsException](err); err != nil && !exists {
		return "", "", a.explain(n, a.Name, "making", "secretsmanager:CreateSecret", err)
	}
	for {
		a.shared = nil
		// An entry that another node has just created may appear a moment later.
		if kept, where, err = a.Get(ctx, n); err != nil || where != "" {
			return kept, where, err
		}
		select {
		case <-ctx.Done():
			return "", "", a.explain(n, a.Name, "reading", "", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

var badCredentials = []string{
	"UnrecognizedClientException",
	"InvalidClientTokenId",
	"InvalidSignatureException",
	"SignatureDoesNotMatch",
	"ExpiredTokenException",
	"ExpiredToken",
	"IncompleteSignature",
	"MissingAuthenticationToken",
}

// explain describes why AWS, or the connection to it, failed.
func (a *awsSource) explain(n Name, name, doing, permission string, err error) error {
	const standing = " Sluice does not start, and creates no other key."
	var api interface {
		ErrorCode() string
		ErrorMessage() string
	}
	switch isAPI := errors.As(err, &api); {
	case isAPI && slices.Contains(badCredentials, api.ErrorCode()):
		return problem.Newf(problem.Invalid, "AWS does not accept the credentials (%s) for "+
			"%s %s.", api.ErrorCode(), doing, name).
			WithNext("Check SECRETKEY_AWS_ACCESS_KEY and SECRETKEY_AWS_SECRET_KEY, and this machine's " +
				"clock." + standing).WithCause(err)
	case isAPI && strings.HasPrefix(api.ErrorCode(), "AccessDenied"):
		return problem.Newf(problem.Invalid, "AWS denies %s the entry %s (%s), which %s comes "+
			"from.", doing, name, a.variable(n), n).
			WithNext(fmt.Sprintf("Allow %s on it, or set %s.", permission, n) + standing).WithCause(err)
	case isAPI:
		return problem.Newf(problem.Unavailable, "AWS Secrets Manager failed at %s the entry %s (%s): "+
			"%s: %s", doing, name, a.variable(n), api.ErrorCode(),
			strings.Join(strings.Fields(api.ErrorMessage()), " ")).
			WithNext("Fix the entry, or set " + string(n) + "." + standing).WithCause(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem.Newf(problem.Unavailable, "SECRETKEY_STORAGE_TYPE is aws, but AWS Secrets Manager in %s did "+
			"not answer within %s.", a.Region, cmp.Or(a.Patience, awsPatience)).
			WithNext("Check SECRETKEY_AWS_REGION and the network." + standing).WithCause(err)
	}
	return problem.Newf(problem.Unavailable, "SECRETKEY_STORAGE_TYPE is aws, but AWS Secrets Manager in %s cannot "+
		"be reached or gives no usable answer.", a.Region).
		WithNext("Check SECRETKEY_AWS_REGION and the network." + standing).
		WithCause(err)
}
