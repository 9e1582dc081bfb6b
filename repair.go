package oauthstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// A Repairer is a [TokenStore] that keeps a list of its tokens beside them and can set that list right: after
// somebody has deleted or restored secrets by hand, or when processes have died half-way. Nothing in daily use
// needs it. A store that wraps one which is no Repairer answers with [errors.ErrUnsupported].
type Repairer interface {
	// Repair compares what exists with the list, and removes what dead processes have left. It may run at any
	// time, beside writers, as often as one likes; it never removes a token. It needs the permission to list
	// the service's secrets. The report is not nil where the error is: it says what was done until then.
	Repair(ctx context.Context, opts RepairOptions) (*RepairReport, error)
}

// RepairOptions are the choices of a repair. The zero value repairs.
type RepairOptions struct {
	// DryRun changes nothing. The report says what a repair would do.
	DryRun bool

	// Progress, where it is not nil, is called now and then, never by two goroutines at a time. The repair
	// waits for it.
	Progress func(RepairProgress)
}

// RepairProgress is how far a repair is.
type RepairProgress struct {
	Step  string // "list", "read", "write", "remove"
	Done  int    // how many secrets, of those that the step is about
	Total int    // 0 where it is not known
}

// A RepairReport says what a repair has found and set right, or with DryRun would have. IDs are in order.
type RepairReport struct {
	// Tokens is how many tokens are stored.
	Tokens int

	// Unlisted are the ids of tokens that the list lacked, or had under another user name: GetTokens and
	// DeleteTokens missed them.
	Unlisted []string

	// Dead are the ids of lines that nothing stands behind any more: of inserts and changes of a user name that
	// came to nothing, of tokens that were deleted by hand. They are harmless. Younger ones are left: somebody
	// may be about to store the token.
	Dead []string

	// Unfinished are the ids of tokens of which the deletion stopped half-way.
	Unfinished []string

	// Pages are the secrets of the list that nothing leads to, or that are led to and missing.
	Pages []string

	// Expiring are the secrets of tokens and of the list that the service is going to delete by itself, as it was set
	// to when they were written (Vault, delete_version_after). They are written again, which the service refuses as long
	// as it is set so.
	Expiring []string

	// Conflicts are pairs of tokens with one user name and client id, which a repair cannot choose between.
	Conflicts []RepairConflict

	// Unreadable are the errors of secrets that could not be read. What is in them stays as it is, and is
	// listed.
	Unreadable []error
}

// A RepairConflict is two ids whose tokens have one user name and client id.
type RepairConflict struct{ ID, OtherID string }

// Clean reports whether there was nothing to set right.
func (r *RepairReport) Clean() bool {
	return len(r.Unlisted)+len(r.Dead)+len(r.Unfinished)+len(r.Pages)+len(r.Expiring)+len(r.Conflicts)+len(r.Unreadable) == 0
}

// String is a summary in one line.
func (r *RepairReport) String() string {
	return fmt.Sprintf("%d tokens: %d were not listed, %d lines were dead, %d deletions unfinished, %d pages wrong, %d secrets expiring; %d conflicts, %d unreadable",
		r.Tokens, len(r.Unlisted), len(r.Dead), len(r.Unfinished), len(r.Pages), len(r.Expiring), len(r.Conflicts), len(r.Unreadable))
}

// Sort puts what the report lists in order. It is for those who implement [Repairer].
func (r *RepairReport) Sort() {
	for _, ids := range []*[]string{&r.Unlisted, &r.Dead, &r.Unfinished, &r.Pages, &r.Expiring} {
		slices.Sort(*ids)
		*ids = slices.Compact(*ids)
	}
	slices.SortFunc(r.Conflicts, func(a, b RepairConflict) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.OtherID, b.OtherID))
	})
}
