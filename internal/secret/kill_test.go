package secret_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// victim is the input of the child process of a kill test.
type victim struct{ Folder, Postgres, Keys string }

const victimVariable = "SLUICE_TEST_VICTIM"

func TestMain(m *testing.M) {
	if told := os.Getenv(victimVariable); told != "" {
		if err := rotateForEver(told); err != nil {
			fmt.Fprintln(os.Stderr, "the child process failed:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// rotateForEver replaces every key again and again until it is killed, and says when it has begun.
func rotateForEver(told string) error {
	var v victim
	if err := json.Unmarshal([]byte(told), &v); err != nil {
		return err
	}
	ctx := context.Background()
	d, err := db.Open(ctx, db.Config{Folder: v.Folder, Postgres: v.Postgres})
	if err != nil {
		return err
	}
	k, err := secret.Open(ctx, secret.Config{DB: d, Folder: v.Keys, Log: quiet})
	if err != nil {
		return err
	}
	gate, err := authz.NewGate(authz.Config{DB: d, Now: time.Now, Log: quiet})
	if err != nil {
		return err
	}
	r := secret.NewRotator(k, gate)
	fmt.Println("begun")
	for {
		for _, n := range []secret.Name{secret.VaultKey, secret.Root, secret.Session, secret.Root} {
			if err := r.Rotate(ctx, cli, n, nil); err != nil {
				return err
			}
		}
	}
}

// killed runs a victim and ends it by SIGKILL after a while.
func killed(t *testing.T, v victim, after time.Duration) {
	t.Helper()
	told, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env, child.Stderr = append(os.Environ(), victimVariable+"="+string(told)), os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "begun\n" {
		t.Errorf("the child says %q, %v", line, err)
	}
	time.Sleep(after)
	if err := child.Process.Kill(); err != nil {
		t.Errorf("the child ended by itself: %v", err)
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Errorf("the child ended with %v, not by the kill", err)
	}
}

// Whenever a rotation is killed, everything opens afterwards, the next rotation continues, and in
// the end nothing is sealed with a previous key.
func TestRotation_Killed(t *testing.T) {
	t.Parallel()
	for engine, c := range map[string]func(t *testing.T) db.Config{
		"sqlite":   func(t *testing.T) db.Config { return db.Config{Folder: dbtest.Folder(t), Now: time.Now} },
		"postgres": func(t *testing.T) db.Config { return db.Config{Postgres: dbtest.Postgres(t), Now: time.Now} },
	} {
		t.Run(engine, func(t *testing.T) {
			at, keys := c(t), t.TempDir()
			d := dbtest.Open(t, at)
			k, r := mustOpen(t, secret.Config{DB: d, Folder: keys})
			values := fill(t, d, k, 400)
			token := k.TokenKey()
			random, interrupted := rand.New(rand.NewPCG(1, 2)), 0
			for range 8 {
				killed(t, victim{at.Folder, at.Postgres, keys}, time.Duration(random.IntN(120))*time.Millisecond)
				// This node ran all the time; another one starts now.
				intact(t, d, k, values)
				anew, _ := mustOpen(t, secret.Config{DB: d, Folder: keys})
				intact(t, d, anew, values)
				if string(anew.TokenKey()) != string(token) {
					t.Fatal("the nodes have different keys")
				}
				until(t, "the running node hears of the new keys", func() bool {
					return k.SessionKeys()[0].ID == anew.SessionKeys()[0].ID
				})
				if status(t, r, secret.VaultKey).Left > 0 {
					interrupted++
				}
			}
			t.Logf("%d of 8 kills hit a rotation of the vault", interrupted)
			// The last kill may have come after a new root key, which the running node has yet to
			// hear of.
			var err error
			until(t, "the running node has the current root key", func() bool {
				err = r.Rotate(context.Background(), cli, secret.VaultKey, nil)
				return err == nil || problem.Of(err).Kind != problem.Conflict
			})
			if err != nil {
				t.Fatal(err)
			}
			if s := status(t, r, secret.VaultKey); s.Left != 0 {
				t.Errorf("%d values are left", s.Left)
			}
			intact(t, d, k, values)
		})
	}
}
