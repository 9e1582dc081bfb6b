package storetest

import (
	"github.com/oauthstore/oauthstore"
)

var idChecks = []check{
	{"a generated id is the one derived from the user name", idDerived},
	{"the second client of a user gets the id derived from both", idSecondClient},
	{"an id that a renamed record holds is not given to another user", idHeldByRenamed},
	{"an id that another user chose is not given away", idHeldByChoice},
	{"where both derived ids are held there is a third one", idBothHeld},
	{"a derived id that leads to another user is not an answer", idMisleading},
	{"a name that is renamed, deleted and used again leads to its new record", idReused},
	{"a derived id is free again after its record is deleted", idFreed},
}

func (t *subject) wantID(token *oauthstore.OAuthToken, id string) {
	t.Helper()
	if token.ID != id {
		t.Errorf("the id for user %q and client %q: got %q, want %q", token.UserName, token.ClientID, token.ID, id)
	}
}

func idDerived(t *subject) {
	t.wantID(t.save(full("user")), oauthstore.DerivedID("user", ""))
	t.wantID(t.save(under("", "no client", "")), oauthstore.DerivedID("no client", ""))
}

func idSecondClient(t *subject) {
	first := t.save(under("", "user", "client 1"))
	second := t.save(under("", "user", "client 2"))
	t.wantID(first, oauthstore.DerivedID("user", ""))
	t.wantID(second, oauthstore.DerivedID("user", "client 2"))
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 1"}, first.ID)
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 2"}, second.ID)
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, first.ID)
}

func idHeldByRenamed(t *subject) {
	renamed := t.save(full("old"))
	t.save(&oauthstore.OAuthToken{ID: renamed.ID, UserName: "new"})
	renamed.UserName = "new"

	next := full("old")
	next.AccessToken = hush + "access of the next one with this name"
	t.save(next)
	t.wantID(next, oauthstore.DerivedID("old", "client"))
	t.wantSame("the renamed record", t.byID(renamed.ID), renamed)
	t.wantSame("the next one of this name", t.find(&oauthstore.OAuthToken{UserName: "old"}), next)

	t.save(&oauthstore.OAuthToken{UserName: "old", Scope: "all"})
	next.Scope = "all"
	t.wantSame("the next one of this name, updated", t.byID(next.ID), next)
	t.wantSame("the renamed record", t.byID(renamed.ID), renamed)
	if n := len(t.all()); n != 2 {
		t.Errorf("GetTokens: got %d tokens, want 2", n)
	}
}

func idHeldByChoice(t *subject) {
	squatter := t.save(under(oauthstore.DerivedID("user", ""), "squatter", ""))
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "user"})
	user := t.save(&oauthstore.OAuthToken{UserName: "user", AccessToken: hush + "user's"})
	if user.ID == squatter.ID {
		t.Fatalf("SaveToken gave the id %q of one user to another", user.ID)
	}
	t.wantSame("the one whose id it is", t.byID(squatter.ID), squatter)
	t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: "user"}), user)
}

func idBothHeld(t *subject) {
	one := t.save(under(oauthstore.DerivedID("user", ""), "squatter 1", ""))
	two := t.save(under(oauthstore.DerivedID("user", "client"), "squatter 2", ""))
	user := t.save(full("user"))
	if user.ID == one.ID || user.ID == two.ID || user.ID == "" {
		t.Fatalf("SaveToken gave the id %q, want one that nobody holds", user.ID)
	}
	t.save(&oauthstore.OAuthToken{UserName: "user", ClientID: "client", Scope: "all"})
	user.Scope = "all"
	t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: "user"}), user)
	t.wantSame("the first one's", t.byID(one.ID), one)
	t.wantSame("the second one's", t.byID(two.ID), two)
	if n := len(t.all()); n != 3 {
		t.Errorf("GetTokens: got %d tokens, want 3", n)
	}
}

func idMisleading(t *subject) {
	t.save(under(oauthstore.DerivedID("user", ""), "squatter", ""))
	t.save(under("chosen", "user", "client"))
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, "chosen")
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client"}, "chosen")
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "other client"})

	// The derived id is the user's, but with another client.
	t.save(under(oauthstore.DerivedID("second user", ""), "second user", "client 1"))
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "second user", ClientID: "client 2"})
	t.save(under("also chosen", "second user", "client 2"))
	t.wantFound(&oauthstore.OAuthToken{UserName: "second user", ClientID: "client 2"}, "also chosen")
}

func idReused(t *subject) {
	first := t.save(under("", "old", ""))
	t.save(&oauthstore.OAuthToken{ID: first.ID, UserName: "new"})
	t.delete(first.ID)
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "new"})
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "old"})

	second := t.save(under("chosen", "new", ""))
	t.wantFound(&oauthstore.OAuthToken{UserName: "new"}, "chosen")
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "old"})
	third := t.save(under("", "old", ""))
	t.wantID(third, oauthstore.DerivedID("old", ""))
	t.wantFound(&oauthstore.OAuthToken{UserName: "old"}, third.ID)
	t.wantFound(&oauthstore.OAuthToken{UserName: "new"}, second.ID)
	t.wantStored(second, third)
}

func idFreed(t *subject) {
	first := t.save(full("user"))
	t.delete(first.ID)
	second := t.save(under("", "user", "other client"))
	t.wantID(second, oauthstore.DerivedID("user", ""))
	t.wantStored(second)
}
