package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore"
)

// What points at a record by its access or grant token points at it no more once that token is another. By a former
// refresh token a save still points at it. These checks let the two meet.

// A moved is a record whose tokens one caller replaces while others save by the tokens that it had.
type moved struct {
	*subject
	at     func(stored *oauthstore.OAuthToken) *oauthstore.OAuthToken
	before *oauthstore.OAuthToken // what is stored when all begin
	head   time.Duration          // how much earlier the savers begin
}

// moving returns a check that runs run on several records, one after another. The savers get a head start
// between nothing and the time that a save takes, so that one meets them half-way, however slow the store.
func moving(at func(stored *oauthstore.OAuthToken) *oauthstore.OAuthToken, run func(m *moved)) func(t *subject) {
	return func(t *subject) {
		const rounds = 5
		for round := range rounds {
			begin := time.Now()
			before := literal(t.save(full(fmt.Sprint("user ", round))))
			run(&moved{subject: t, at: at, before: before, head: time.Since(begin) * time.Duration(round) / rounds})
			t.deleteAll()
		}
	}
}

// ownFields are what the savers set, each one of its own.
var ownFields = []string{"TokenType", "APIDomain"}

// meet lets the savers meet the one who replaces the tokens. save returns the error of a saver, in process t.
func (m *moved) meet(save func(t *subject, token *oauthstore.OAuthToken) error) (saved []*oauthstore.OAuthToken) {
	m.Helper()
	saved = make([]*oauthstore.OAuthToken, len(ownFields))
	m.together(len(saved)+1, func(i int) error {
		if i == len(saved) {
			time.Sleep(m.head)
			return m.process(i).saveTogether(m.replacement())
		}
		saved[i] = m.at(m.before)
		saved[i].Scope = "saved by what was replaced"
		*textFields(saved[i])[ownFields[i]] = "its own"
		return save(m.process(i), saved[i])
	})
	return saved
}

func (m *moved) replacement() *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{
		ID: m.before.ID, GrantToken: hush + "new grant", RefreshToken: hush + "new refresh", AccessToken: hush + "new access",
		Scope: "of the new tokens",
	}
}

// wantMoved demands that the record has all that the replacement set, since whoever saved by the old tokens
// came before it or did not come here, and the own fields of those savers who were told that they did.
func (m *moved) wantMoved(saved []*oauthstore.OAuthToken) {
	m.Helper()
	want, r := literal(m.before), m.replacement()
	want.GrantToken, want.RefreshToken, want.AccessToken, want.Scope = r.GrantToken, r.RefreshToken, r.AccessToken, r.Scope
	for i, token := range saved {
		if token.ID == want.ID {
			*textFields(want)[ownFields[i]] = "its own"
		}
	}
	m.wantSame("the record whose tokens were replaced", m.byID(want.ID), want)
}

// movedSave demands of SaveToken that it inserts where it has come too late.
func movedSave(m *moved) {
	saved := m.meet((*subject).saveTogether)
	m.wantMoved(saved)
	records := map[string]bool{m.before.ID: true}
	for i, token := range saved {
		if records[token.ID] = true; token.ID == m.before.ID {
			continue
		}
		inserted := m.byID(token.ID)
		want := m.at(m.before)
		want.ID, want.Scope = token.ID, "saved by what was replaced"
		for k, name := range ownFields { // the other saver may have found what this one has inserted
			if k == i || *textFields(inserted)[name] != "" {
				*textFields(want)[name] = "its own"
			}
		}
		m.wantSame("the record that was inserted", inserted, want)
	}
	if got := m.all(); len(got) != len(records) {
		m.Errorf("GetTokens: got %d tokens %q, want %d", len(got), ids(got), len(records))
	}
}

// movedUpdate demands of UpdateToken that it finds nothing where it has come too late.
func movedUpdate(m *moved) {
	saved := m.meet(func(t *subject, token *oauthstore.OAuthToken) error {
		err := t.updateTogether(token)
		if errors.Is(err, oauthstore.ErrTokenNotFound) {
			return nil
		}
		return err
	})
	m.wantMoved(saved)
	if got := m.all(); len(got) != 1 {
		m.Errorf("GetTokens: got %d tokens %q, want 1", len(got), ids(got))
	}
}

// updateTogether is UpdateToken for use in together.
func (t *subject) updateTogether(token *oauthstore.OAuthToken) error {
	return patiently(func() error { return t.updater.UpdateToken(t.Context(), token) })
}

// movedRefresh demands of a save that it finds the record by its former refresh token too, and does not bring that back.
func movedRefresh(save func(t *subject, token *oauthstore.OAuthToken) error) func(m *moved) {
	return func(m *moved) {
		saved := m.meet(save)
		want, r := literal(m.before), m.replacement()
		want.GrantToken, want.RefreshToken, want.AccessToken = r.GrantToken, r.RefreshToken, r.AccessToken
		want.Scope = m.byID(want.ID).Scope
		if want.Scope != r.Scope && want.Scope != "saved by what was replaced" {
			m.Errorf("the record whose tokens were replaced: got the scope %q, which nobody saved", want.Scope)
		}
		for i, token := range saved {
			m.wantID(token, want.ID)
			*textFields(want)[ownFields[i]] = "its own"
		}
		m.wantStored(want)
	}
}
