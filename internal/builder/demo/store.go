package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"sluice/internal/problem"
)

// Limits of the demo builder.
const (
	maxDemoFlows = 200
	maxDemoName  = 100
	maxDemoText  = 4000
)

// demoFlow answers a question with its reply, in which {question}, {person}, {words} and {time} are
// filled in.
type demoFlow struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Reply   string    `json:"reply"`
	Updated time.Time `json:"updated"`
	By      string    `json:"by,omitempty"`
}

// check validates the fields that a person typed.
func (f *demoFlow) check() error {
	f.Name, f.Reply = strings.TrimSpace(f.Name), strings.TrimSpace(f.Reply)
	switch {
	case f.Name == "" || utf8.RuneCountInString(f.Name) > maxDemoName || !utf8.ValidString(f.Name):
		return problem.Newf(problem.Invalid, "Enter a name of 1 to %d characters.", maxDemoName).WithField("name")
	case f.Reply == "" || utf8.RuneCountInString(f.Reply) > maxDemoText || !utf8.ValidString(f.Reply):
		return problem.Newf(problem.Invalid, "Enter a reply of 1 to %d characters.", maxDemoText).WithField("reply")
	}
	return nil
}

// demoStore keeps flows in memory and, if it has a file, in one JSON document that is replaced as a
// whole.
type demoStore struct {
	file string
	mu   sync.Mutex
	all  []demoFlow
}

func openDemoStore(file string, now time.Time) (*demoStore, error) {
	s := &demoStore{file: file}
	if file == "" {
		s.all = []demoFlow{demoExample(now)}
		return s, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		s.all = []demoFlow{demoExample(now)}
		return s, s.save(s.all)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the demo builder's flows: %w", err)
	}
	if err := json.Unmarshal(data, &s.all); err != nil {
		return nil, fmt.Errorf("reading the demo builder's flows from %s: %w", file, err)
	}
	return s, nil
}

func demoExample(now time.Time) demoFlow {
	return demoFlow{
		ID: uuid.NewString(), Name: "Echo", Updated: now.UTC(),
		Reply: "Hello {person}. You asked: {question}\n({words} words, answered at {time})",
	}
}

// save writes the document to a temporary file and renames it over the old one, so that a crash
// leaves one or the other. The caller holds mu.
func (s *demoStore) save(all []demoFlow) error {
	if s.file == "" {
		return nil
	}
	data, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding the demo builder's flows: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(s.file), ".demo-*")
	if err != nil {
		return fmt.Errorf("saving the demo builder's flows: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), s.file)
	}
	if err != nil {
		return fmt.Errorf("saving the demo builder's flows: %w", err)
	}
	return nil
}

// change replaces the list by the result of fn on a copy. Nothing changes if fn or saving fails.
func (s *demoStore) change(fn func([]demoFlow) ([]demoFlow, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := fn(slices.Clone(s.all))
	if err != nil {
		return err
	}
	if err := s.save(next); err != nil {
		return err
	}
	s.all = next
	return nil
}

func (s *demoStore) list() []demoFlow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

func (s *demoStore) get(id string) (demoFlow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := demoIndex(s.all, id); i >= 0 {
		return s.all[i], nil
	}
	return demoFlow{}, errNoDemoFlow
}

var errNoDemoFlow = problem.New(problem.NotFound, "There is no such flow.").WithNext("Return to the list of flows.")

func demoIndex(all []demoFlow, id string) int {
	return slices.IndexFunc(all, func(f demoFlow) bool { return f.ID == id })
}

// put creates a flow (empty id) or changes one.
func (s *demoStore) put(f demoFlow) (demoFlow, error) {
	if err := f.check(); err != nil {
		return demoFlow{}, err
	}
	err := s.change(func(all []demoFlow) ([]demoFlow, error) {
		if f.ID == "" {
			if len(all) >= maxDemoFlows {
				return nil, problem.Newf(problem.Conflict, "The demo builder holds at most %d flows.", maxDemoFlows).
					WithNext("Delete one first.")
			}
			f.ID = uuid.NewString()
			return append(all, f), nil
		}
		i := demoIndex(all, f.ID)
		if i < 0 {
			return nil, errNoDemoFlow
		}
		all[i] = f
		return all, nil
	})
	return f, err
}

func (s *demoStore) remove(id string) error {
	return s.change(func(all []demoFlow) ([]demoFlow, error) {
		i := demoIndex(all, id)
		if i < 0 {
			return nil, errNoDemoFlow
		}
		return slices.Delete(all, i, i+1), nil
	})
}
