package importer_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/config"
	qauthn "sluice/internal/db/q/authn"
	q "sluice/internal/db/q/importer"
	"sluice/internal/flow"
	"sluice/internal/importer"
	"sluice/internal/server"
	"sluice/internal/sluicetest"
)

// victim is the input of the child process of a kill test: Sluice's variables, the data to import,
// and the step at which it kills itself.
type victim struct {
	Flags         map[string]string
	Database, Key string
	Step          int
}

const victimVariable = "SLUICE_TEST_VICTIM"

func TestMain(m *testing.M) {
	if told := os.Getenv(victimVariable); told != "" {
		if err := die(told); err != nil {
			slog.Error("the child process failed", "error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// die imports and kills itself on the way.
func die(told string) error {
	var v victim
	if err := json.Unmarshal([]byte(told), &v); err != nil {
		return err
	}
	loaded, err := config.Load(config.Input{Flags: v.Flags})
	if err != nil {
		return err
	}
	ctx, quiet := context.Background(), slog.New(slog.DiscardHandler)
	core, err := server.OpenCore(ctx, loaded.Values, quiet)
	if err != nil {
		return err
	}
	flows, err := flow.New(ctx, flow.Config{DB: core.DB, Gate: core.Gate, Now: time.Now, Log: quiet})
	if err != nil {
		return err
	}
	im := importer.New(importer.Config{
		DB:     core.DB,
		Gate:   core.Gate,
		People: core.People,
		Hasher: core.Hasher,
		Keys:   core.Keys,
		Vault:  core.Vault,
		Flows:  flows,
		Kind:   langflow,
		Now:    time.Now,
		Log:    quiet,
	})
	in, err := langflow.Import.Read(ctx, v.Database)
	if err != nil {
		return err
	}
	keys, err := langflow.Import.Unsealer(v.Key)
	if err != nil {
		return err
	}
	plan, err := im.Plan(ctx, in, importer.Options{Keys: keys, Workspaces: importer.ByProject})
	if err != nil {
		return err
	}
	return im.Apply(ctx, sluicetest.Operator(), plan, func(done, total int) {
		if v.Step >= 0 && done == v.Step || v.Step < 0 && done == total {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
}

func TestImport_Killed(t *testing.T) {
	r := langflowtest.Databases(t)[0]
	database := r.QuickFile(t)
	everywhere(t, func(t *testing.T, lines ...string) {
		folder := t.TempDir()
		lines = append(lines, "DATABASE_PATH="+folder)
		flags := map[string]string{"DATABASE_PATH": folder, "PASSWORD_SALT_HASH_ROUNDS": "4"}
		for _, line := range lines {
			for i := range line {
				if line[i] == '=' {
					flags[line[:i]] = line[i+1:]
					break
				}
			}
		}
		for _, step := range []int{0, 1, 9, 17, -1} {
			told, err := json.Marshal(victim{Flags: flags, Database: database, Key: r.SecretKey, Step: step})
			if err != nil {
				t.Fatal(err)
			}
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), victimVariable+"="+string(told))
			c.Stderr = os.Stderr
			if err := c.Run(); err == nil || c.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("step %d: it was not killed: %v", step, err)
			}
			w := start(t, lines...)
			w.nothingImported()
			w.Stop()
		}
		w := start(t, lines...)
		p := w.bring(read(t, database), importer.Options{Keys: keys(t, r)})
		if n := p.Count(importer.KindPerson, importer.Added); n != 5 {
			t.Errorf("after five kills %d people are brought", n)
		}
	})
}

// nothingImported checks that there are no people, keys, credentials and workspaces beside what
// every installation has.
func (w *world) nothingImported() {
	w.t.Helper()
	ctx := context.Background()
	people, n, err := w.Sluice.People.List(ctx, sluicetest.Operator(), identityAll)
	if err != nil || n != 0 {
		w.t.Errorf("there are people: %+v, %v", people, err)
	}
	origins, err := q.New(w.Sluice.DB.Read()).ImportOrigins(ctx)
	if err != nil || len(origins) != 0 {
		w.t.Errorf("there are origins: %+v, %v", origins, err)
	}
	credentials, err := q.New(w.Sluice.DB.Read()).CredentialNames(ctx)
	if err != nil || len(credentials) != 0 {
		w.t.Errorf("there are credentials: %+v, %v", credentials, err)
	}
	keys, err := qauthn.New(w.Sluice.DB.Read()).LoadKeys(ctx, "")
	if err != nil || len(keys) != 0 {
		w.t.Errorf("there are keys: %+v, %v", keys, err)
	}
	workspaces, err := q.New(w.Sluice.DB.Read()).AllWorkspaces(ctx)
	if err != nil || len(workspaces) != 1 {
		w.t.Errorf("there are workspaces: %+v, %v", workspaces, err)
	}
}
