package api

import (
	"errors"
	"time"

	"sluice/internal/audit"
)

// entry is one line of the audit record.
type entry struct {
	Seq          int64     `json:"seq" doc:"The position in the chain, from 1." example:"42"`
	At           time.Time `json:"at"`
	ActorKind    string    `json:"actor_kind" example:"person"`
	ActorID      string    `json:"actor_id"`
	ActorName    string    `json:"actor_name" example:"ann"`
	IP           string    `json:"ip" example:"192.0.2.7"`
	Action       string    `json:"action" example:"user:create"`
	ResourceType string    `json:"resource_type" example:"User"`
	ResourceID   string    `json:"resource_id"`
	ResourceName string    `json:"resource_name" example:"bob"`
	Workspace    string    `json:"workspace" example:"default"`
	Outcome      string    `json:"outcome" doc:"done, denied or failed." example:"done"`
	Times        int64     `json:"times" doc:"The number of equal refusals that the entry stands for. Otherwise 1." example:"1"`
	Policies     string    `json:"policies" doc:"The policies that decided, comma separated." example:"superuser"`
	Detail       string    `json:"detail" example:"role viewer"`
	PreviousHash string    `json:"previous_hash"`
	Hash         string    `json:"hash" doc:"SHA-256 over this entry and the one before, in hex."`
}

func entryOf(e audit.Entry) entry {
	return entry{
		e.Seq, e.At, e.ActorKind, e.ActorID, e.ActorName, e.IP, e.Action, e.ResourceType, e.ResourceID, e.ResourceName,
		e.Workspace, string(e.Outcome), e.Times,
		e.Policies, e.Detail, e.PreviousHash, e.Hash,
	}
}

type auditInput struct {
	After int64 `query:"after" minimum:"0" maximum:"9007199254740991" default:"0" doc:"The position after which to start: the seq of the last known entry."`
	Limit int64 `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"The most entries to return."`
}

// listAudit first flushes pending refusals, so that readers see everything that has just happened.
func listAudit(x *visit, in *auditInput) (list[entry], error) {
	x.cfg.Gate.Flush(x)
	last, err := audit.Last(x, x.cfg.DB)
	if err != nil {
		return list[entry]{}, err
	}
	rows, err := audit.After(x, x.cfg.DB, in.After, in.Limit)
	return listOf(rows, int(last), entryOf), err
}

// verdict reports whether the audit record is intact.
type verdict struct {
	Intact  bool   `json:"intact"`
	Entries int64  `json:"entries" doc:"The number of entries that match, from the first." example:"42"`
	Detail  string `json:"detail,omitempty" doc:"The first entry that does not match." example:""`
}

func verifyAudit(x *visit, _ *struct{}) (verdict, error) {
	n, err := audit.Verify(x, x.cfg.DB)
	if err != nil && errors.Unwrap(err) != nil {
		// The chain could not be read. A broken one is an error without a cause.
		return verdict{}, err
	}
	if err != nil {
		return verdict{Entries: n, Detail: err.Error()}, nil
	}
	return verdict{Intact: true, Entries: n}, nil
}
