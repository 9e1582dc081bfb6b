//go:build go1.25

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oauthstore/oauthstore"
)

// look takes note of what is stored and reports whether it is as it must be, and came to be so rightly.
func (s *schedule) look() bool {
	s.t.Helper()
	now, _, entries := s.m.content(s.t)
	if what := inconsistent(now, entries); what != "" {
		s.t.Errorf("after step %d: %s", s.step.Load(), what)
		return false
	}
	if s.step.Load() > 0 && !s.checkTransition(s.moments[len(s.moments)-1], now) {
		return false
	}
	s.moments, s.times = append(s.moments, now), append(s.times, time.Now())
	s.step.Store(int32(len(s.moments)))
	return true
}

// checkTransition looks whether every change from one moment to the next is one that an operation, not
// long over, has asked for.
func (s *schedule) checkTransition(was, is moment) bool {
	s.t.Helper()
	for id := range maps.Keys(s.union(was, is)) {
		before, after := was[id], is[id]
		if before != nil && after != nil && same(before, after) {
			continue
		}
		if s.putBack(id, before, after) {
			continue
		}
		if s.cameBack(id, before, after) {
			s.t.Errorf("after step %d: token %s: a save took effect twice: %s to %s", s.step.Load(), id, show(before), show(after))
			return false
		}
		if !slices.ContainsFunc(s.ops, func(o *operation) bool {
			return (s.open(o) || o.late || o.err != nil) && o.explains(id, before, after) && s.mayInsert(o, before) || s.faulty && s.open(o) && s.repeats(o, id, before, after)
		}) {
			s.t.Errorf("after step %d: token %s: nobody has asked for this change: %s to %s", s.step.Load(), id, show(before), show(after))
			return false
		}
	}
	return true
}

// mayInsert reports whether there was nothing that o's token points at, at a moment until now, if o inserts.
func (s *schedule) mayInsert(o *operation, before *oauthstore.OAuthToken) bool {
	if before != nil || !o.save || o.deletes != "" {
		return true
	}
	return slices.ContainsFunc(s.moments[s.oldest(o):], func(m moment) bool { return match(&o.token, m) == nil })
}

// putBack reports whether a delete that is under way, or of which a call may still come, and that was denied half-way,
// has put back what there was.
func (s *schedule) putBack(id string, before, after *oauthstore.OAuthToken) bool {
	if before != nil || !s.faulty || !s.m.tombstones {
		return false
	}
	for i, m := range slices.Backward(s.moments) {
		if m[id] != nil {
			deletes := func(o *operation) bool { return o.explains(id, after, nil) }
			return same(m[id], after) && slices.ContainsFunc(s.ops, func(o *operation) bool { return deletes(o) && (s.open(o) || o.late) }) &&
				!slices.ContainsFunc(s.ops, func(o *operation) bool { return deletes(o) && o.err == nil && !s.open(o) && o.end > i })
		}
	}
	return false
}

// cameBack reports whether what a save has stored, and another has replaced since, is stored once more: by its write id
// it knows that it was, where no more writes have come in between than a record remembers.
func (s *schedule) cameBack(id string, before, after *oauthstore.OAuthToken) bool {
	late := func(o *operation) bool { return o.late && o.token.Scope == after.Scope } // it came after one had looked for it
	if before == nil || after == nil || before.Scope == after.Scope || s.stale || slices.ContainsFunc(s.ops, late) {
		return false
	}
	changes, now := 0, before
	for _, m := range slices.Backward(s.moments) {
		switch {
		case m[id] == nil || changes >= maxEarlier-1: // others may have marked the record
			return false
		case !same(m[id], now):
			changes, now = changes+1, m[id]
		}
		if m[id].Scope == after.Scope {
			return true
		}
	}
	return false
}

func (s *schedule) union(a, b moment) moment {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// explains reports whether o may make after of before, both under id.
func (o *operation) explains(id string, before, after *oauthstore.OAuthToken) bool {
	switch {
	case after == nil:
		return o.deletes == id || o.deletes == "*"
	case before == nil:
		inserted := o.token
		inserted.ID = id
		return o.save && (o.token.ID == "" || o.token.ID == id) && same(&inserted, after)
	default:
		merged, _ := (&oauthstore.Record{Token: *before}).Merge(&o.token)
		return o.update && same(&merged.Token, after)
	}
}

// open reports whether o was not over before this step.
func (s *schedule) open(o *operation) bool { return o.end < 0 || o.end >= int(s.step.Load()) }

// repeats reports whether o may make after of before although its refresh token has been there and was replaced
// since: an earlier try of o was stored, and o could not know.
func (s *schedule) repeats(o *operation, id string, before, after *oauthstore.OAuthToken) bool {
	if before == nil || !slices.ContainsFunc(s.moments, func(m moment) bool {
		return m[id] != nil && m[id].RefreshToken == o.token.RefreshToken
	}) {
		return false
	}
	again := *o
	again.token.RefreshToken = ""
	return again.explains(id, before, after)
}

// same compares what callers see of two tokens.
func same(a, b *oauthstore.OAuthToken) bool { return show(a) == show(b) }

// checkOperations looks whether what every operation returned was true at one moment of its time.
func (s *schedule) checkOperations() {
	s.t.Helper()
	for _, o := range s.ops {
		if o.end < 0 || errors.Is(o.err, context.Canceled) {
			continue
		}
		if what := s.untrue(o); what != "" {
			s.t.Errorf("%v: %s", o, what)
		}
	}
}

// once reports whether fits holds at a moment of o's time.
func (s *schedule) once(o *operation, fits func(m moment) bool) bool {
	return slices.ContainsFunc(s.moments[s.oldest(o):min(o.end+1, len(s.moments))], fits)
}

// oldest is the first moment of o's time, or that which a read at that time may still show.
func (s *schedule) oldest(o *operation) int {
	switch {
	case !s.stale:
		return o.begin
	case s.m.tombstones: // as Google
		return 0
	}
	from := s.times[o.begin].Add(-maxLag)
	return slices.IndexFunc(s.times, func(at time.Time) bool { return !at.Before(from) })
}

func absent(id string) func(moment) bool { return func(m moment) bool { return m[id] == nil } }

// match is Match at a moment.
func match(token *oauthstore.OAuthToken, m moment) *oauthstore.OAuthToken {
	return oauthstore.Match(token, slices.Collect(maps.Values(m)))
}

// untrue says what is wrong with what o returned, if something is.
func (s *schedule) untrue(o *operation) string {
	none := func(m moment) bool { return match(&o.token, m) == nil }
	var conflict *oauthstore.ConflictError
	switch {
	case errors.As(o.err, &conflict):
		if !o.update || !s.conflicts(o, conflict.ID) {
			return "nothing was in conflict with it"
		}
	case errors.Is(o.err, oauthstore.ErrTokenNotFound):
		if o.deletes != "" && !s.once(o, absent(o.deletes)) || o.deletes == "" && !s.once(o, none) {
			return "there was a token all the time"
		}
	case errors.Is(o.err, oauthstore.ErrInvalidToken):
		if !o.save || !s.once(o, none) {
			return "there was a token to merge it into all the time"
		}
	case o.deletes != "" && o.deletes != "*" && errors.Is(o.err, oauthstore.ErrAccessDenied) && o.refused.op != put && o.failed == 1 && !s.stood && s.lost(o):
		return "it was denied, and the token is gone"
	case s.skew > 0 && errors.Is(o.err, oauthstore.ErrUnavailable):
		return "" // by its clock another writer was about to take the user name for a long time
	case o.repair && o.process.keeps && errors.Is(o.err, oauthstore.ErrAccessDenied):
		return "" // it says what it could not do
	case o.err != nil:
		if !s.faulty {
			return "nothing has failed"
		}
	case o.repair:
		return "" // every step of it was looked at
	case o.deletes == "*":
		for id := range s.moments[o.begin] {
			// A service whose reads lag and that has no other way of reading may hide one.
			if (!s.stale || s.m.tombstones) && !s.once(o, absent(id)) {
				return fmt.Sprintf("token %s was there all the time", id)
			}
		}
	case o.deletes != "":
		if !s.once(o, absent(o.deletes)) {
			return "the token was there all the time"
		}
	case o.update:
		if !s.once(o, func(m moment) bool { return holds(m[o.result[0].ID], &o.token) }) {
			return "what it saved was never there"
		}
	case o.find:
		if !s.once(o, func(m moment) bool {
			found := match(&o.token, m)
			return found != nil && same((&oauthstore.Record{Token: *found}).Found(&o.token), o.result[0])
		}) {
			return "at no moment was this the token to find"
		}
	default:
		return s.untrueList(o)
	}
	return ""
}

// lost reports whether the token that o was to delete is gone after it, and nobody else was at it meanwhile.
func (s *schedule) lost(o *operation) bool {
	end := min(o.end, len(s.moments)-1)
	others := slices.ContainsFunc(s.ops, func(other *operation) bool {
		return other != o && !other.find && other.begin <= o.end && (other.end < 0 || other.end >= o.begin)
	})
	return !others && s.moments[o.begin][o.deletes] != nil && s.moments[end][o.deletes] == nil
}

// holds reports whether stored has all that token sets.
func holds(stored, token *oauthstore.OAuthToken) bool {
	if stored == nil {
		return false
	}
	_, changed := (&oauthstore.Record{Token: *stored}).Merge(token)
	return !changed
}

// conflicts reports whether a token under id had o's user and client, or another operation was about to
// give them to it or to delete it, or may have died doing so.
func (s *schedule) conflicts(o *operation, id string) bool {
	wants := func(t *oauthstore.OAuthToken) bool { return t != nil && t.UserName == o.token.UserName }
	if s.once(o, func(m moment) bool { return wants(m[id]) }) {
		return true
	}
	return slices.ContainsFunc(s.ops, func(other *operation) bool {
		return other != o && other.begin <= o.end && (other.end < 0 || other.end >= o.begin || other.err != nil) &&
			// Of a token that is being deleted the entry is there for a while after the secret.
			(other.update && wants(&other.token) || other.deletes == id || other.deletes == "*")
	})
}

// untrueList is untrue for GetTokens.
func (s *schedule) untrueList(o *operation) string {
	listed := make(map[string]bool)
	for _, t := range o.result {
		listed[t.ID] = true
		if !s.once(o, func(m moment) bool { return m[t.ID] != nil && same(m[t.ID], t) }) {
			return fmt.Sprintf("it lists a token that never was: %s", show(t))
		}
	}
	for id := range s.moments[o.begin] {
		if !listed[id] && !s.once(o, absent(id)) {
			return fmt.Sprintf("it does not list %s", id)
		}
	}
	return s.forgotten(o, listed)
}

// forgotten says which token o does not list although its own process has stored it: what a process has seen of the
// index it does not forget for a read that lags behind.
func (s *schedule) forgotten(o *operation, listed map[string]bool) string {
	for _, before := range s.ops {
		if !s.stale || !s.m.tombstones || before.process != o.process || !before.save || before.err != nil || before.end < 0 || before.end > o.begin {
			continue
		}
		id := before.result[0].ID
		if s.moments[before.begin][id] != nil {
			continue // it was an update, which does not look at the index
		}
		if !listed[id] && !slices.ContainsFunc(s.moments[before.end:min(o.end+1, len(s.moments))], absent(id)) {
			return fmt.Sprintf("it does not list %s, which its own process has stored", id)
		}
	}
	return ""
}

// checkEnd looks at what a store that knows nothing makes of what is left, and whether all works again.
func (s *schedule) checkEnd() {
	s.t.Helper()
	ctx, last := context.Background(), s.moments[len(s.moments)-1]
	fresh := func() *Store { return s.m.store() }
	tokens, err := fresh().GetTokens(ctx)
	if err != nil || len(tokens) != len(last) {
		s.t.Errorf("at the end: GetTokens: got %v and error %v, want the %d that are stored: %v", tokens, err, len(last), last)
	}
	for _, user := range []string{"alice", "bob"} {
		for _, client := range []string{"", "c", "d"} {
			partial := oauthstore.OAuthToken{UserName: user, ClientID: client}
			want := match(&partial, last)
			got, err := fresh().FindToken(ctx, &partial)
			if want == nil && errors.Is(err, oauthstore.ErrTokenNotFound) || err == nil && want != nil && want.ID == got.ID {
				continue
			}
			// Of two records that were inserted at the same time, slowly, the one may not know of the other;
			// who asks for no client in particular gets it all the same.
			if err == nil && want != nil && client == "" && got.UserName == user && s.slow(user) {
				continue
			}
			s.t.Errorf("at the end: find %s: got %v and error %v, want %v", describe(partial), got, err, want)
		}
	}
	if s.faulty || s.stale {
		time.Sleep(grace + 2*s.skew) // what has died stands in nobody's way any more
	}
	if s.rng.IntN(2) == 0 {
		s.checkRepair(ctx)
	}
	s.checkRecovery(ctx)
}

// slow reports whether a save of the user has taken long.
func (s *schedule) slow(user string) bool {
	return s.faulty || s.stale || s.skew > 0 || slices.ContainsFunc(s.ops, func(o *operation) bool {
		return o.update && o.token.UserName == user && o.end >= 0 &&
			s.times[min(o.end, len(s.times)-1)].Sub(s.times[o.begin]) >= maxRename
	})
}

// checkRepair looks whether a repair leaves what is needed and nothing else.
func (s *schedule) checkRepair(ctx context.Context) {
	s.t.Helper()
	time.Sleep(grace + 2*s.skew)
	before, _, _ := s.m.content(s.t)
	if s.rng.IntN(2) == 0 {
		s.loseEntry()
	}
	if _, err := s.m.store().Repair(ctx, oauthstore.RepairOptions{}); err != nil {
		s.t.Errorf("afterwards: Repair: %v", err)
	}
	tokens, headers, entries := s.m.content(s.t)
	if !maps.EqualFunc(before, tokens, same) {
		s.t.Errorf("after Repair: got tokens %v, want %v", tokens, before)
	}
	for _, e := range entries {
		if tokens[e.ID] == nil || !claims(headers[e.ID].Claims, e.Nonce) {
			s.t.Errorf("after Repair: nothing stands behind the index entry %+v", e)
		}
	}
	s.m.wantConsistent(s.t)
	s.m.wantNoOrphans(s.t)
	report, err := s.m.store().Repair(ctx, oauthstore.RepairOptions{DryRun: true})
	if err != nil || !report.Clean() {
		s.t.Errorf("after Repair: got %v and error %v, want nothing to repair", report, err)
	}
}

// loseEntry takes an entry out of the index, as people do by hand.
func (s *schedule) loseEntry() {
	s.t.Helper()
	at := append([]string{indexName}, s.m.linked(s.t, place{indexName, everywhere})...)
	name := at[s.rng.IntN(len(at))]
	v := s.m.show(s.t, name)
	if v == nil || len(v.node.entries) == 0 || v.node.sealed {
		return
	}
	i := s.rng.IntN(len(v.node.entries))
	list, err := json.Marshal(slices.Delete(slices.Clone(v.node.entries), i, i+1))
	if err != nil {
		s.t.Fatal(err)
	}
	d := maps.Clone(v.rec.Document)
	d[entriesField] = list
	s.m.overwrite(s.t, name, d)
}

// checkRecovery saves a token of each user and client, and deletes all.
func (s *schedule) checkRecovery(ctx context.Context) {
	s.t.Helper()
	for _, user := range []string{"alice", "bob"} {
		for _, client := range []string{"", "c", "d"} {
			token := oauthstore.OAuthToken{UserName: user, ClientID: client, RefreshToken: "last", AccessToken: "last"}
			if err := s.m.store().SaveToken(ctx, &token); err != nil {
				s.t.Errorf("afterwards: save %s: %v", describe(token), err)
			}
			s.m.wantConsistent(s.t)
		}
	}
	time.Sleep(grace)
	if err := s.m.store().DeleteTokens(ctx); err != nil {
		s.t.Errorf("afterwards: DeleteTokens: %v", err)
	}
	if tokens, _, entries := s.m.content(s.t); len(tokens) != 0 || len(entries) != 0 {
		s.t.Errorf("after DeleteTokens: got tokens %v and index entries %+v, want none", tokens, entries)
	}
}
