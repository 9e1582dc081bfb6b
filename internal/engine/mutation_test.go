//go:build go1.25

package engine

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var mutate = flag.Bool("mutations", false, "run TestMutations, which takes minutes")

// mutations break a rule of the protocol each: text that stands once in a file of this package, what is put in its place,
// and the test that must notice it.
var mutations = []struct{ rule, file, text, instead, noticedBy string }{
	// Inserts and deletes.
	{"an insert writes the index before the secret", "save.go",
		"if err := c.make(ctx); err != nil {\n\t\ts.abandonClaim(c, err)\n\t\treturn nil, err\n\t}\n\tnext.Siblings",
		"defer func() { _ = c.make(ctx) }()\n\tnext.Siblings", "TestSchedules"},
	{"a delete removes the secret before its entry", "delete.go", "g, err := s.destroyed(ctx, id, s.checkIndex)\n",
		"_ = s.forget(ctx, 0, []gone{{id: id, keys: []key{\"\"}, at: time.Now().Add(-maxInsert)}})\n\t_, _ = s.removeEntries(ctx, 0, keyOf(id, \"alice\", \"\"), func(e entry) bool { return e.ID == id })\n\tg, err := s.destroyed(ctx, id, s.checkIndex)\n", "TestSchedules"},
	{"every entry has a nonce of its own", "entry.go", "Nonce: newNonce(), At:", `Nonce: "nonce", At:`, "TestSchedules"},
	{"a delete removes only the entries that the record owned", "delete.go",
		`return ok && (claims(g.claims, e.Nonce) ||`, `return ok && (true || claims(g.claims, e.Nonce) ||`, "TestSchedules"},
	{"an insert that takes too long starts over", "save.go", "cur.rec.Live(), elapsed(begin) > maxInsert:", "cur.rec.Live():", "TestGrow_aDivisionThatStandsStillStartsOver"},
	{"an entry is honoured for a while", "entry.go", "return e.age() < grace }", "return false }", "TestSchedules"},
	{"a write is settled by its write id", "record.go", "if i := slices.Index(writes, id); i >= 0 {", "if i := slices.Index(writes, id); i > 1000 {", "TestLease_lostAnswers"},
	{"an insert that may have been stored starts over", "save.go", "case !notWritten(failure):", "case false:", "TestInsert_thatWasRefusedAfterItWasStoredAndDeletedHasAnotherEntry"},
	{"an insert that has met a conflict starts over", "save.go", "case !notWritten(failure):", "case !over(failure):", "TestInsert_thatWasRefusedAfterItWasStoredAndDeletedHasAnotherEntry"},
	{"an insert knows itself by its incarnation", "save.go", "stored, last := tries.stored(after.rec) //", "stored, last := tries.stored(after.rec)\n\tif err != nil {\n\t\tstored, last = nil, false\n\t} //", "TestInsert_thatWasRefusedAfterItWasStoredKnowsItself"},
	{"an insert that has taken effect is not merged with what others have made of it", "save.go", "\t\tif r != nil {\n\t\t\treturn r\n\t\t}\n\t}\n\treturn nil", "\t}\n\treturn nil", "TestInsert_thatIsFoundWhenItStartsOverIsNotMergedWithWhatOthersMadeOfIt"},
	{"the entry of an insert that may have been stored stays", "save.go", "case !isUnsettled(err):\n\t\ts.withdraw(", "case true:\n\t\ts.withdraw(", "TestSchedules"},
	{"the entry of an insert that may come yet stays", "save.go", "case !isOpen(err):", "case true:", "TestInsert_thatMayComeKeepsItsEntry"},
	{"the entry of a rename that may have been stored stays", "save.go", "case isUnsettled(err):\n\t\ts.abandoned.add(f.id, open, u.made()...)\n\t\treturn nil, err\n", "", "TestRename_whoseAnswerIsLostKeepsItsEntryWhereTheNextReadLagsBehind"},
	{"a rename that may have been stored begins with another entry", "save.go", "u.spent = len(u.claims)", "_ = u", "TestRename_thatIsRepeatedHasAnEntryOfItsOwn"},
	{"what a failed write of the index leaves goes with the next write of the secret", "abandoned.go", "if isUnsettled(failure) || isContext(failure) {", "if false {", "TestSave_thatEndsAtTheIndexLeavesNothingOnceItIsRepeated"},
	{"a delete takes what it reads without lag for what it begins with", "delete.go", "if next.rec.Absent() || next.rec.Incarnation != began {", "if false {", "TestProbe_looksAgainWhereAMissWouldBeBelieved"},
	{"what a failed insert leaves goes with the next write", "save.go", "\t\ts.releaseAbandoned(ctx, f.id, append([]string{c.entry.Nonce}, after.rec.Claims...))\n", "", "TestInsert_thatFailedAndThenSucceededRefusesNobody"},
	{"what a failed rename leaves goes with the next write", "save.go", "\t\ts.releaseAbandoned(ctx, f.id, stands)\n", "", "TestRename_thatFailedAndThenSucceededLeavesTheUserNameFree"},
	{"an abandoned entry that the record owns stays", "abandoned.go", "return claims(but, nonceOf(c)) })", "return false })", "TestSchedules"},
	{"what has become of a refused write is looked up", "commit.go", "case looked || !over(failure):", "case true:", "TestInsert_thatWasRefusedAfterItWasStoredKnowsItself"},
	{"a refused write is no longer under way only once it was looked up", "commit.go", "if err != nil && (unsure || !looked) {", "if err != nil && unsure {", "TestSchedules"},
	{"a delete ends where it meets another token", "delete.go", "done := next.rec.Absent() || next.rec.Incarnation != began", "done := next.rec.Absent()", "TestDelete_thatWasRefusedAfterItsTombstoneLeavesWhatWasSavedSince"},
	{"a delete that ends at another token leaves its entry", "delete.go", "begin = time.Time{}", "_ = begin", "TestDelete_thatBeganWithAFormerTokenLeavesTheEntriesOfTheNewOne"},
	{"a delete that has done nothing begins with what it reads", "delete.go", "if !acted {", "if false {", "TestDelete_thatBeganWithAFormerTokenLeavesTheEntriesOfTheNewOne"},
	{"a delete leaves the entry of a record that was made since it looked", "delete.go", "claims: claims, at: begin}, err", "claims: claims, at: time.Now()}, err", "TestDelete_thatBeganWithAFormerTokenLeavesTheEntriesOfTheNewOne"},
	{"a delete does not believe a read that lags behind", "delete.go", "case done && (probed || missed || errors.Is(failure, ErrConflict)):", "case done && (probed || missed || true):", "TestDelete_thatFailsDoesNotBelieveAReadThatLagsBehind"},
	{"a delete that was denied leaves the token", "delete.go", "s.spare(ctx, name, cur, tombstone)\n", "\n", "TestLease_staysThroughTheWritesOfOthers"},
	{"a deletion is withdrawn only if no other write came since", "delete.go", "now.rec.WriteID != tombstone.WriteID ||", "", "TestDelete_thatIsDeniedLeavesWhatOthersHaveSavedMeanwhile"},

	// One record for one user and client.
	{"an entry is not taken out because of a read that lags behind", "claim.go", "if err := c.sureOfVacancy(ctx, entries); err != nil {", "if err := c.sureOfVacancy(ctx, nil); err != nil {", "TestSchedules"},
	{"who claims a user looks at the claims of others", "claim.go", "if err := c.contest(ctx, e); err != nil {", "if err := c.contest(ctx, e); err != nil && false {", "TestSchedules"},
	{"who claims a user has looked at all that might be it", "claim.go", "if c.overlooked(e) {", "if c.overlooked(e) && false {", "TestCache_aSaveFindsWhatOthersHaveInserted"},
	{"the records of one user know of each other", "claim.go", "if c.isSibling(e) && !c.told[e.Nonce] && len(c.told) < enoughTold {", "if false {", "TestCache_aBetterMatchOfOthersCounts"},
	{"an entry that a record owns stays until the record has changed", "claim.go", "const maxClaims = 4", "const maxClaims = 1", "TestSchedules"},
	{"a user whose entries are in several pages is looked at in all of them", "claim.go", "if c.entry.User != \"\" && within.parts(c.entry.User) {", "if false {", "TestClaim_seesTheUsersEntriesInOtherPages"},

	// What is remembered.
	{"a sealed leaf is believed only by way of a fresh read", "tree.go", "r.node.sealed && how < anew:", "false:", "TestTree_aSealedLeafIsNotBelievedByWayOfWhatIsRemembered"},
	{"an older node does not replace a newer one", "tree.go", "case st.rec.WriteID == \"\" || !slices.Contains(r.state.rec.Earlier, st.rec.WriteID):", "default:", "TestSchedules"},
	{"GetTokens reads the index", "store.go", "entries, err := s.allEntries(ctx, fresh)", "entries, ok := s.index.recallAll()\n\tvar err error\n\tif !ok {\n\t\tentries, err = s.allEntries(ctx, fresh)\n\t}", "TestGetTokens_doesNotGoByWhatIsRemembered"},
	{"DeleteTokens misses nothing", "delete.go", "entries, err := s.allEntries(ctx, newest)", "entries, ok := s.index.recallAll()\n\tvar err error\n\tif !ok {\n\t\tentries, err = s.allEntries(ctx, newest)\n\t}", "TestDeleteTokens_doesNotGoByWhatIsRemembered"},
	{"a miss is not believed without a read", "find.go", "case err != nil, f == nil && l.forSave, f != nil && l.sure(f):", "default:", "TestSchedules"},
	{"a hit by a token in the remembered index is not believed without a read", "find.go", "if f, err := l.byHints(ctx, entries); err != nil || f == nil {", "if f, err := l.byHints(ctx, entries); true {", "TestFind_byATokenOfSeveralTheSmallestIDCounts"},
	{"a hint does not decide before records with a smaller id", "find.go", "case id < f.id:\n\t\treturn true\n", "", "TestFind_byATokenOfSeveralTheSmallestIDCounts"},
	{"entries are removed where they are", "write.go", "changes[i].at = a.at.span", "changes[i].at = everywhere", "TestSchedules"},

	// The tree.
	{"a page has all entries of its span", "grow.go", "return !in.contains(e.key()) })", "return !in.contains(e.key()) || e.User == \"filler1\" })", "TestSchedules"},
	{"a sealed leaf is not changed", "write.go", "if n.inner() || n.sealed ||", "if n.inner() ||", "TestTree_aSealedLeafIsNotChanged"},
	{"a sealed inner node is not changed", "grow.go", "if !n.inner() || n.sealed || !change(n) {", "if !n.inner() || !change(n) {", "TestTree_aSealedInnerNodeIsNotChanged"},
	{"a page that was sealed as a leaf is not lifted", "grow.go", "if err != nil || !n.inner() { //", "if err != nil { //", "TestGrow_aLeafIsNotLifted"},
	{"a node is sealed before it is taken out", "grow.go", "\t\tn.sealed = true\n", "", "TestSchedules"},
	{"pages are made before they are led to", "grow.go", "if err := s.makePages(ctx, l.pages); err != nil {\n\t\ts.drop(ctx, l.pages)\n\t\treturn nil, err\n\t}\n", "defer func() { _ = s.makePages(ctx, l.pages) }()\n", "TestSchedules"},
	{"a page is deleted after it was taken out", "grow.go", "_, err := s.changeInner(ctx, parent, func(n *node) bool { return relinks", "s.bury(ctx, names)\n\t_, err := s.changeInner(ctx, parent, func(n *node) bool { return relinks", "TestSchedules"},
	{"pages that may be led to stay", "grow.go", "if isUnsettled(err) || try < 0 && g.unsure {\n\t\treturn\n\t}\n", "", "TestGrow_aDivisionThatMayComeLateKeepsItsPages"},
	{"pages stay where the node is gone or sealed", "grow.go", "!after.rec.Live() || n.sealed && !written {", "false {", "TestDivision_thatWasRefusedAfterItTookEffectKeepsItsPages"},
	{"a page for a join stays where the parent is gone or sealed", "grow.go", "case !isUnsettled(err):\n\t\ts.settlePages(ctx, parent.name, after, err == nil, []*page{p})", "case after.rev == None:\n\tcase err != nil:\n\t\ts.drop(ctx, []*page{p})", "TestSupersession_thatWasRefusedAfterItTookEffectKeepsItsPage"},
	{"leaves are joined as they were when they were sealed", "tend.go", "entries = append(entries, n.entries...)", "if r, ok := s.index.recall(run[i].name); ok { entries = append(entries, r.node.entries[:len(r.node.entries)/2]...) }", "TestSchedules"},
	{"a node takes its pages back only if they are all that it has", "tend.go", "if len(n.pages) != len(names) || replace(n.pages, names, []pointer{{}}) == nil {", "if false {", "TestTree_takesItsPagesBackOnlyIfTheyAreAllThatItHas"},
	{"a page takes over where the one before it began", "node.go", "by[0].From = pages[i].From", "by[0].From = pages[i].From[:len(pages[i].From)/2]", "TestSchedules"},

	// Leases.
	{"a save under a lease looks whose it is", "save.go", "if err := l.Check(f.record, cur.rec.Lease.holder, token); err != nil {", "if err := l.Check(f.record, l.Holder, token); err != nil {", "TestLease_saveMeetsATakeOver"},
	{"the last writes of a day are for saves", "lease.go", "case q.last(writes) && len(", "case false && len(", "TestLease_theVeryLastWritesAreForSaves"},
	{"a refusal ends with the next change of the token", "save.go", `if changed && next.Lease.refused != "" {`, "if false {", "TestLease_aRefusalEndsWithTheNextChangeOfTheToken"},
	{"a lease is given to one", "lease.go", "Holder: l.holder, For: l.lasts", "Holder: \"\", For: l.lasts", "TestLease_costs"},
	{"a save under a lease gives it back", "save.go", "next.Lease = lease{} // given back", "_ = lease{}", "TestLease_lostAnswers"},

	// Repair.
	{"a repair does not believe a listing in what it lacks", "repair.go", "for id := range r.entries {\n\t\tall[id] = true\n\t}\n", "", "TestSchedules"},
	{"a repair leaves young entries", "repair.go", "if !e.pending() {\n\t\t\tr.bury(e)", "if true {\n\t\t\tr.bury(e)", "TestSchedules"},
	{"a repair leaves young pages", "repair.go", "st.rec.Live() && age(n.made) < grace:", "st.rec.Live() && age(n.made) < 0:", "TestRepair_removesPagesThatNothingLeadsTo"},
	{"a repair lists what is not listed under the nonce of the record", "repair.go", "e.Nonce = nonceOf(claimed[0])", "e.Nonce = \"another\"", "TestSchedules"},

	// Keys.
	{"an index that cannot be read is found before a delete", "delete.go", "g, err := s.destroyed(ctx, id, s.checkIndex)", "g, err := s.destroyed(ctx, id, nil)", "TestKey_thatHangsIsWaitedForAsLongAsTheCallerAllows"},
	{"a save under an older key writes", "save.go", "next.Lease == cur.rec.Lease && !f.stale {", "next.Lease == cur.rec.Lease {", "TestSaveToken_thatChangesNothingWritesUnderTheNewestKey"},
	{"a denied delete puts the record back under the newest key", "delete.go", "s.resealed(ctx, name, was.rec)", "was.rec", "TestRekey_besideADeleteThatIsDenied"},
	{"Rekey does not believe a listing in what it lacks", "rekey.go", "r.names[name] = true\n\t\t\t}\n\t\t}\n\t\treturn nil", "_ = name\n\t\t\t}\n\t\t}\n\t\treturn nil", "TestRekey_findsWhatOnlyTheIndexOrOnlyTheListingHas"},
	{"Rekey divides a page that has no room", "rekey.go", "if IsNode(name) && size(&next) > s.room() {", "if false {", "TestRekey_dividesPagesThatBecomeTooLarge"},
}

// TestMutations breaks the rules, one at a time, and runs the test that must notice it.
func TestMutations(t *testing.T) {
	if !*mutate {
		t.Skip("takes minutes: -mutations runs it")
	}
	for _, m := range mutations {
		t.Run(m.rule, func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(m.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), m.text); n != 1 {
				t.Fatalf("%s has the text %d times, want once: %s", m.file, n, m.text)
			}
			mutant := compile(t, mutated(t, m.file, strings.Replace(string(source), m.text, m.instead, 1)))
			tests := []string{"-test.run", "^" + m.noticedBy + "$"}
			if m.noticedBy == "TestSchedules" {
				tests = append(tests, "-schedules", fmt.Sprint(*schedules), "-first-failure")
			}
			out, _ := exec.CommandContext(t.Context(), mutant, tests...).CombinedOutput() // that it fails is what is wanted
			if caught := failure.FindAllSubmatch(out, -1); caught != nil {
				t.Logf("noticed in %s", caught[len(caught)-1][1])
				return
			}
			if bytes.HasPrefix(out, []byte("panic: ")) || bytes.Contains(out, []byte("\npanic: ")) {
				t.Log("noticed by a panic")
				return
			}
			t.Error("nothing was noticed")
		})
	}
}

// failure is what go test says of a test that has failed, the innermost last.
var failure = regexp.MustCompile(`--- FAIL: (\S+)`)

// mutated returns an overlay in which a file has another text.
func mutated(t *testing.T, file, text string) string {
	t.Helper()
	dir := t.TempDir()
	mutant, overlay := filepath.Join(dir, file), filepath.Join(dir, "overlay.json")
	here, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	replacement, err := json.Marshal(map[string]map[string]string{"Replace": {here: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{mutant: []byte(text), overlay: replacement} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}

// compile makes a program of the tests of this package with an overlay.
func compile(t *testing.T, overlay string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "mutant")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, "-overlay", overlay, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the mutation does not compile: %v\n%s", err, out)
	}
	return program
}
