package audit_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"sluice/internal/audit"
	"sluice/internal/db"
	"sluice/internal/dbtest"
)

func fill(t *testing.T, d *db.DB, n int) {
	t.Helper()
	ctx := context.Background()
	for range n {
		err := d.Gated(ctx, func(tx *db.Tx) error {
			return audit.Append(
				ctx,
				tx,
				audit.Entry{
					At:        time.UnixMilli(1_700_000_000_000),
					ActorKind: "system",
					Action:    "user:create",
					Outcome:   audit.Done,
				},
			)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestChainVerifies(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		fill(t, d, 5)
		if n, err := audit.Verify(context.Background(), d); n != 5 || err != nil {
			t.Errorf("Verify = %d, %v; want 5 entries", n, err)
		}
	})
}

func TestTamperingIsFound(t *testing.T) {
	for name, damage := range map[string]string{
		"edited":  "UPDATE audit SET detail = 'nothing to see' WHERE seq = 3",
		"removed": "DELETE FROM audit WHERE seq = 3",
		"swapped": "UPDATE audit SET seq = CASE seq WHEN 3 THEN 103 WHEN 4 THEN 3 ELSE seq END WHERE seq IN (3, 4)",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := dbtest.Open(t, db.Config{Folder: dir, Now: time.Now})
			fill(t, d, 5)
			raw, err := sql.Open("sqlite", filepath.Join(dir, db.FileName))
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			if _, err := raw.Exec(damage); err != nil {
				t.Fatal(err)
			}
			if n, err := audit.Verify(context.Background(), d); err == nil || n != 2 {
				t.Errorf("Verify = %d, %v; want a break after entry 2", n, err)
			}
		})
	}
}
