package secret_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// moto starts a server that answers as AWS Secrets Manager does, and returns a client of it. Where
// there is no Python, or moto cannot be installed, the test is skipped unless
// SLUICEDEV_MOTO=require.
func moto(t *testing.T) *secretsmanager.Client {
	t.Helper()
	install := exec.Command(filepath.Join("..", "..", "e2e", "install-moto.sh"))
	var trouble bytes.Buffer
	install.Stderr = &trouble
	program, err := install.Output()
	if err != nil && os.Getenv("SLUICEDEV_MOTO") != "require" {
		t.Skipf("moto cannot be installed: %v: %s", err, trouble.String())
	}
	if err != nil {
		t.Fatalf("installing moto: %v: %s", err, trouble.String())
	}
	address := silent(t)
	host, port, _ := strings.Cut(address, ":")
	server := exec.Command(strings.TrimSpace(string(program)), "-H", host, "-p", port)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	awsAt(t, "http://"+address)
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if r, err := http.Get("http://" + address + "/moto-api/"); err == nil {
			r.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("moto does not answer")
		}
	}
	cfg, err := awsconfig.LoadDefaultConfig(
		context.Background(),
		awsconfig.WithRegion(ask().Region),
		awsconfig.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(ask().AccessKey, ask().SecretKey, ""),
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	return secretsmanager.NewFromConfig(cfg)
}

// shelf is the entries of an AWS.
type shelf struct {
	t testing.TB
	*secretsmanager.Client
}

func (s shelf) put(name, text string) {
	s.t.Helper()
	ctx := context.Background()
	_, err := s.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: &text})
	if err != nil {
		_, err = s.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: &text})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s shelf) get(name string) string {
	s.t.Helper()
	out, err := s.GetSecretValue(context.Background(), &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		s.t.Fatal(err)
	}
	return *out.SecretString
}

// clear removes all entries.
func (s shelf) clear() {
	s.t.Helper()
	ctx, now := context.Background(), true
	list, err := s.ListSecrets(ctx, &secretsmanager.ListSecretsInput{IncludePlannedDeletion: &now})
	for i := 0; err == nil && i < len(list.SecretList); i++ {
		_, err = s.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{
			SecretId:                   list.SecretList[i].Name,
			ForceDeleteWithoutRecovery: &now,
		})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestAWS(t *testing.T) {
	client := moto(t)
	for name, test := range map[string]func(*testing.T, shelf){
		"the first start makes the root key there": awsFirstStart,
		"two nodes that start together agree":      awsTwoNodes,
		"entries as Flowise makes them":            awsFlowise,
		"one entry with fields":                    awsFields,
		"weak entries":                             awsWeak,
		"the root key is changed there":            awsChanged,
		"an entry that is gone":                    awsGone,
		"an installation moves there":              awsMove,
	} {
		t.Run(name, func(t *testing.T) {
			s := shelf{t, client}
			s.clear()
			test(t, s)
		})
	}
}

func awsFirstStart(t *testing.T, s shelf) {
	d, folder := dbtest.SQLite(t), filepath.Join(t.TempDir(), "keys")
	k, r := mustOpen(t, secret.Config{DB: d, Folder: folder, AWS: ask()})
	if got := status(t, r, secret.Root); got.Source != "AWS Secrets Manager, FlowiseEncryptionKey in "+
		"eu-central-1" || got.Rotates {
		t.Errorf("status %+v", got)
	}
	if got := status(t, r, secret.TokenHash); got.Source != "database" {
		t.Errorf("status %+v", got)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("a key file was made")
	}
	if why := secret.Weakness(s.get("FlowiseEncryptionKey")); why != "" {
		t.Errorf("the entry %s", why)
	}
	// A container that restarts with an empty disk finds everything.
	again, _ := mustOpen(t, secret.Config{DB: d, Folder: filepath.Join(t.TempDir(), "other"), AWS: ask()})
	if !bytes.Equal(again.TokenKey(), k.TokenKey()) {
		t.Error("the keys changed")
	}
}

func awsTwoNodes(t *testing.T, _ shelf) {
	c := db.Config{Postgres: dbtest.Postgres(t), Now: time.Now}
	dbs := []*db.DB{dbtest.Open(t, c), dbtest.Open(t, c)}
	type result struct {
		k   *secret.Keyring
		err error
	}
	results := make(chan result)
	for _, d := range dbs {
		go func() {
			k, err := secret.Open(context.Background(), secret.Config{
				DB:     d,
				Folder: t.TempDir(),
				AWS:    ask(),
				Log:    quiet,
			})
			results <- result{k, err}
		}()
	}
	one, two := <-results, <-results
	if err := errors.Join(one.err, two.err); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.k.TokenKeys()[0].Value, two.k.TokenKeys()[0].Value) {
		t.Error("the nodes have different keys")
	}
}

func awsFlowise(t *testing.T, s shelf) {
	s.put("FlowiseEncryptionKey", "mwpHktuYbkTyHWtmyNFPyr2G/tY8SSXW")
	for _, name := range []string{"FlowiseJWTAuthTokenSecret", "FlowiseJWTRefreshTokenSecret",
		"FlowiseExpressSessionSecret", "FlowiseTokenHashSecret"} {
		s.put(name, valueA)
	}
	folder := t.TempDir()
	write(t, folder, "token_hash_secret.key", valueC)
	_, r := mustOpen(t, secret.Config{
		DB:     dbtest.SQLite(t),
		Folder: folder,
		AWS:    ask(),
		Given:  given("EXPRESS_SESSION_SECRET", valueB),
	})
	for n, want := range map[secret.Name]string{
		secret.Root:         "AWS Secrets Manager, FlowiseEncryptionKey in eu-central-1",
		secret.AccessToken:  "AWS Secrets Manager, FlowiseJWTAuthTokenSecret in eu-central-1",
		secret.RefreshToken: "AWS Secrets Manager, FlowiseJWTRefreshTokenSecret in eu-central-1",
		secret.Session:      "environment",
		secret.TokenHash:    "AWS Secrets Manager, FlowiseTokenHashSecret in eu-central-1",
	} {
		if got := status(t, r, n); got.Source != want {
			t.Errorf("%s comes from %q, want %q", n, got.Source, want)
		}
	}
}

func awsFields(t *testing.T, s shelf) {
	s.put(
		"FlowiseEncryptionKey",
		`{"LANGFLOW_SECRET_KEY":"`+valueA+`","TOKEN_HASH_SECRET":"`+valueB+`","EXPRESS_SESSION_SECRET":"popcorn"}`,
	)
	s.put("FlowiseJWTAuthTokenSecret", `{"secret":"`+valueC+`"}`)
	folder := t.TempDir()
	write(t, folder, "express_session_secret.key", valueC)
	_, r := mustOpen(t, secret.Config{DB: dbtest.SQLite(t), Folder: folder, AWS: ask()})
	for n, want := range map[secret.Name]string{
		secret.Root:         "AWS Secrets Manager, FlowiseEncryptionKey in eu-central-1",
		secret.TokenHash:    "AWS Secrets Manager, FlowiseEncryptionKey in eu-central-1, field TOKEN_HASH_SECRET",
		secret.AccessToken:  "AWS Secrets Manager, FlowiseJWTAuthTokenSecret in eu-central-1",
		secret.Session:      "file " + filepath.Join(folder, "express_session_secret.key"),
		secret.RefreshToken: "database",
	} {
		if got := status(t, r, n); got.Source != want {
			t.Errorf("%s comes from %q, want %q", n, got.Source, want)
		}
	}
	if weak := status(t, r, secret.Session).Weak; len(weak) != 1 ||
		!strings.Contains(weak[0].Where, "field EXPRESS_SESSION_SECRET") {
		t.Errorf("weak: %+v", weak)
	}
}

func awsWeak(t *testing.T, s shelf) {
	s.put("FlowiseEncryptionKey", sample)
	s.put("FlowiseTokenHashSecret", "popcorn")
	folder := t.TempDir()
	write(t, folder, secret.RootFile, valueA)
	k, r := mustOpen(t, secret.Config{DB: dbtest.SQLite(t), Folder: folder, AWS: ask()})
	if got := status(t, r, secret.Root).Source; got != "file "+filepath.Join(folder, secret.RootFile) ||
		len(k.Warnings()) != 2 {
		t.Errorf("the root key comes from %q; warnings %q", got, k.Warnings())
	}
}

func awsChanged(t *testing.T, s shelf) {
	d := dbtest.SQLite(t)
	first, _ := mustOpen(t, secret.Config{DB: d, Folder: t.TempDir(), AWS: ask()})
	s.put("FlowiseEncryptionKey", valueB)
	second, _ := mustOpen(t, secret.Config{DB: d, Folder: t.TempDir(), AWS: ask()})
	if !bytes.Equal(first.TokenKey(), second.TokenKey()) {
		t.Error("the keys changed")
	}
	s.put("FlowiseEncryptionKey", valueC)
	s.put("FlowiseEncryptionKey", valueA)
	// Two changes in one go: the value before the last is not the one in use.
	refused(t, secret.Config{DB: d, Folder: t.TempDir(), AWS: ask()}, "does not open the secrets in this database")
	mustOpen(t, secret.Config{DB: d, Folder: t.TempDir(), AWS: ask(), FormerRoot: valueB})
	mustOpen(t, secret.Config{DB: d, Folder: t.TempDir(), AWS: ask()})
}

func awsGone(t *testing.T, s shelf) {
	d := dbtest.SQLite(t)
	s.put("FlowiseEncryptionKey", valueA)
	s.put("FlowiseTokenHashSecret", valueB)
	before, _ := mustOpen(t, secret.Config{DB: d, Folder: t.TempDir(), AWS: ask()})
	name, now := "FlowiseTokenHashSecret", true
	if _, err := s.DeleteSecret(context.Background(), &secretsmanager.DeleteSecretInput{
		SecretId:                   &name,
		ForceDeleteWithoutRecovery: &now,
	}); err != nil {
		t.Fatal(err)
	}
	after, _ := mustOpen(t, secret.Config{DB: d, Folder: t.TempDir(), AWS: ask()})
	if !bytes.Equal(before.TokenKeys()[0].Value, after.TokenKeys()[0].Value) {
		t.Error("the key in use was replaced")
	}
	s.clear()
	refused(t, secret.Config{
		DB:     d,
		Folder: t.TempDir(),
		AWS:    ask(),
	}, "contains no root key, and a new one cannot open the secrets in this database")
	if list, err := s.ListSecrets(context.Background(), &secretsmanager.ListSecretsInput{}); err != nil ||
		len(list.SecretList) > 0 {
		t.Errorf("an entry was made: %v, %v", list, err)
	}
	s.put("FlowiseEncryptionKey", valueA)
	if _, err := s.DeleteSecret(context.Background(),
		&secretsmanager.DeleteSecretInput{SecretId: ptr("FlowiseEncryptionKey")}); err != nil {
		t.Fatal(err)
	}
	_, err := secret.Open(context.Background(), secret.Config{DB: d, Folder: t.TempDir(), AWS: ask(), Log: quiet})
	if p := problem.Of(err); p.Kind == problem.Internal || !strings.Contains(p.Detail, "marked deleted") {
		t.Errorf("an entry that is about to be deleted: %v", err)
	}
}

func ptr(s string) *string { return &s }

func awsMove(t *testing.T, s shelf) {
	d, folder := dbtest.SQLite(t), t.TempDir()
	first, _ := mustOpen(t, secret.Config{DB: d, Folder: folder})
	local, r := mustOpen(t, secret.Config{DB: d, Folder: folder, AWS: ask()})
	if got := status(t, r, secret.Root).Source; !strings.HasPrefix(got, "file ") ||
		!bytes.Equal(local.TokenKey(), first.TokenKey()) {
		t.Errorf("AWS without an entry: the root key comes from %q", got)
	}
	s.put("FlowiseEncryptionKey", valueA)
	mustOpen(t, secret.Config{DB: d, Folder: folder, AWS: ask()})
	moved, r := mustOpen(t, secret.Config{DB: d, Folder: t.TempDir(), AWS: ask()})
	if got := status(t, r, secret.Root).Source; !strings.HasPrefix(got, "AWS ") ||
		!bytes.Equal(moved.TokenKey(), first.TokenKey()) {
		t.Errorf("with an entry: the root key comes from %q", got)
	}
}
