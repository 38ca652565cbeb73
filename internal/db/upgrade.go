package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"sluice/internal/problem"
)

const (
	// backupMark is between the name of the SQLite file and the number of the first migration that
	// its copy does not have: sluice.sqlite.before-8.
	backupMark = ".before-"
	// keepBackups is how many copies stay beside the SQLite file. Older ones are removed.
	keepBackups = 3
)

// upgrade applies the migrations that the database does not have yet. It refuses a database that a
// newer Sluice has written, because this one would misread it.
func (d *DB) upgrade(ctx context.Context, provider *goose.Provider) error {
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > known {
		return tooNew(current, known)
	}
	if current > 0 && current < known && !d.postgres {
		if err := d.backUp(ctx, current+1); err != nil {
			return fmt.Errorf("copying the database file before it changes: %w", err)
		}
	}
	_, err = provider.Up(ctx)
	return err
}

func tooNew(current, known int64) error {
	return problem.Newf(problem.Conflict,
		"The database was written by a newer Sluice: it has schema %d, and this version supports up to schema %d.",
		current, known).WithNext("Install the newer Sluice again, or restore a copy from before the upgrade " +
		"(SQLite: " + FileName + backupMark + strconv.FormatInt(known+1, 10) + " in the data folder).")
}

// backUp writes a consistent copy of the SQLite file beside it, in its state before the migration
// of this number.
func (d *DB) backUp(ctx context.Context, migration int64) (err error) {
	target := d.path + backupMark + strconv.FormatInt(migration, 10)
	unfinished := target + ".unfinished"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// SQLite writes into an empty file, which keeps its mode: a copy is as secret as the database.
	file, err := os.OpenFile(unfinished, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := d.writer.ExecContext(ctx, "VACUUM INTO ?", unfinished); err != nil {
		return errors.Join(err, os.Remove(unfinished))
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(unfinished, target); err != nil {
		return err
	}
	d.backup = target
	return dropOldBackups(d.path)
}

// dropOldBackups removes the oldest copies of a SQLite file, so that keepBackups stay.
func dropOldBackups(path string) error {
	found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"+backupMark+"*"))
	if err != nil {
		return err
	}
	var numbers []int
	for _, name := range found {
		rest, mine := strings.CutPrefix(name, path+backupMark)
		if number, err := strconv.Atoi(rest); mine && err == nil {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	for len(numbers) > keepBackups {
		if err := os.Remove(path + backupMark + strconv.Itoa(numbers[0])); err != nil {
			return err
		}
		numbers = numbers[1:]
	}
	return nil
}

// Backup returns the path of the copy that Open created before it migrated a SQLite file, or "".
func (d *DB) Backup() string { return d.backup }
