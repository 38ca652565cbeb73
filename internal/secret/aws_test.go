package secret_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// awsAt limits the AWS SDK to an address, whatever the machine's settings.
func awsAt(t *testing.T, endpoint string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": endpoint,
		"AWS_EC2_METADATA_DISABLED":        "true",
		"AWS_CONFIG_FILE":                  filepath.Join(t.TempDir(), "none"),
		"AWS_SHARED_CREDENTIALS_FILE": filepath.Join(t.TempDir(),
			"none"), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI":     "",
		"AWS_WEB_IDENTITY_TOKEN_FILE":            "",
	} {
		t.Setenv(name, value)
	}
}

// ask is how the tests ask AWS.
func ask() *secret.AWS {
	return &secret.AWS{
		AccessKey: "AKIAEXAMPLE",
		SecretKey: "an example",
		Region:    "eu-central-1",
		Name:      "FlowiseEncryptionKey",
		Prefix:    "Flowise",
		Patience:  10 * time.Second,
	}
}

// answer is an AWS with one answer to every request.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// For any problem with AWS, the start fails in bounded time with a message that names the variable,
// and no replacement is created for unreadable values.
func TestAWS_Unreadable(t *testing.T) {
	for _, tt := range []struct {
		name     string
		handler  http.HandlerFunc // nil: nothing listens
		patience time.Duration
		keyless  bool
		want     []string
	}{
		{"down", nil, 3 * time.Second, false, []string{"SECRETKEY_STORAGE_TYPE is aws", "SECRETKEY_AWS_REGION"}},
		{"slow", func(_ http.ResponseWriter, r *http.Request) {
			// Only with the body read does the server notice that the client goes away.
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, 500 * time.Millisecond, false, []string{"did not answer within 500ms", "SECRETKEY_AWS_REGION"}},
		{"a body without end", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		}, 500 * time.Millisecond, false, []string{"SECRETKEY_STORAGE_TYPE is aws"}},
		{"denied", answer(400, `{"__type":"AccessDeniedException","Message":"not authorized"}`), 0, false,
			[]string{"AWS denies reading the entry FlowiseEncryptionKey (SECRETKEY_AWS_NAME), which " +
				"LANGFLOW_SECRET_KEY comes from", "secretsmanager:GetSecretValue"}},
		{"wrong credentials",
			answer(400, `{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}`), 0, false,
			[]string{"does not accept the credentials (UnrecognizedClientException)", "SECRETKEY_AWS_ACCESS_KEY and " +
				"SECRETKEY_AWS_SECRET_KEY"}},
		{"no credentials", answer(200, `{}`), 3 * time.Second, true,
			[]string{"there are no AWS credentials", "SECRETKEY_AWS_ACCESS_KEY"}},
		{"empty", answer(200, `{"Name":"FlowiseEncryptionKey"}`), 0, false, []string{"The entry " +
			"FlowiseEncryptionKey in AWS Secrets Manager (SECRETKEY_AWS_NAME) contains no text for " +
			"LANGFLOW_SECRET_KEY"}},
		{"blank", answer(200, `{"SecretString":" \n"}`), 0, false, []string{"contains no text"}},
		{"an object with other fields", answer(200, `{"SecretString":"{\"user\":\"a\",\"password\":\"b\"}"}`), 0, false,
			[]string{"contains no text", "a JSON object with the field LANGFLOW_SECRET_KEY"}},
		{"broken", answer(500, `{"__type":"InternalServiceError","Message":"oops"}`), 0, false,
			[]string{"FlowiseEncryptionKey"}},
		{"no AWS at all", answer(200, `<html>It works!</html>`), 3 * time.Second, false, []string{"cannot be " +
			"reached or gives no usable answer"}},
		{"being deleted", answer(400,
			`{"__type":"InvalidRequestException","Message":"You can't perform this operation on the secret because it was marked for deletion."}`), 0, false,
			[]string{"marked for deletion", "SECRETKEY_AWS_NAME"}},
		{"a weak root key and no other", answer(200, `{"SecretString":"popcorn"}`), 0, false, []string{"AWS Secrets " +
			"Manager, FlowiseEncryptionKey", "is a published example"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			endpoint := "http://" + silent(t)
			if tt.handler != nil {
				server := httptest.NewServer(tt.handler)
				defer server.Close()
				endpoint = server.URL
			}
			awsAt(t, endpoint)
			c := secret.Config{DB: dbtest.SQLite(t), Folder: filepath.Join(t.TempDir(), "keys"), AWS: ask(), Log: quiet}
			if c.AWS.Patience = tt.patience; tt.patience == 0 {
				c.AWS.Patience = 10 * time.Second
			}
			if tt.keyless {
				c.AWS.AccessKey, c.AWS.SecretKey = "", ""
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			_, err := secret.Open(ctx, c)
			p := problem.Of(err)
			if err == nil || p.Kind == problem.Internal || ctx.Err() != nil {
				t.Fatalf("Open = %v (%v)", err, ctx.Err())
			}
			for _, want := range tt.want {
				if !strings.Contains(p.Detail+" "+p.Next, want) {
					t.Errorf("it says %q %q, not %q", p.Detail, p.Next, want)
				}
			}
			if strings.Contains(p.Detail+p.Next, "an example") || strings.Contains(p.Detail+p.Next, "popcorn") {
				t.Errorf("a secret shows: %s %s", p.Detail, p.Next)
			}
			if _, err := os.Stat(c.Folder); err == nil {
				t.Error("something was made in the folder")
			}
			if text, err := db.Meta(context.Background(), c.DB.Read(), "vault.keyset"); err != nil || text != "" {
				t.Errorf("a keyset was made: %d characters, %v", len(text), err)
			}
		})
	}
}

// silent is an address on which nothing listens.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A secret that is given otherwise needs no AWS, even while that is down.
func TestAWS_NotNeeded(t *testing.T) {
	awsAt(t, "http://"+silent(t))
	c := secret.Config{DB: dbtest.SQLite(t), Folder: t.TempDir(), AWS: ask(), Given: given(
		"LANGFLOW_SECRET_KEY",
		valueA,
		"JWT_AUTH_TOKEN_SECRET",
		valueB,
		"JWT_REFRESH_TOKEN_SECRET",
		valueB,
		"EXPRESS_SESSION_SECRET",
		valueB,
		"TOKEN_HASH_SECRET",
		valueB,
	)}
	if _, r := mustOpen(t, c); status(t, r, secret.TokenHash).Source != "environment" {
		t.Error("the variable is not used")
	}
}

// One secret that AWS keeps back is enough to stop the start: its key could be in use on other
// nodes.
func TestAWS_DeniedSecret(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 4096)
		n, _ := r.Body.Read(body)
		if strings.Contains(string(body[:n]), "FlowiseEncryptionKey") {
			answer(200, `{"SecretString":"`+valueA+`"}`)(w, r)
			return
		}
		answer(400, `{"__type":"AccessDeniedException","Message":"not authorized"}`)(w, r)
	}))
	defer server.Close()
	awsAt(t, server.URL)
	_, err := secret.Open(
		context.Background(),
		secret.Config{DB: dbtest.SQLite(t), Folder: t.TempDir(), AWS: ask(), Log: quiet},
	)
	if p := problem.Of(err); !strings.Contains(
		p.Detail,
		"FlowiseJWTAuthTokenSecret (SECRETKEY_AWS_AUTH_PREFIX), which JWT_AUTH_TOKEN_SECRET comes from",
	) {
		t.Errorf("Open = %v", err)
	}
}
