package storetest

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

type token = oauthstore.OAuthToken

// broken is a store in memory, but for the methods that are replaced.
type broken struct {
	*memory.Store
	find      func(ctx context.Context, partial *token) (*token, error)
	findByID  func(ctx context.Context, id string) (*token, error)
	save      func(ctx context.Context, t *token) error
	update    func(ctx context.Context, t *token) error
	delete    func(ctx context.Context, id string) error
	get       func(ctx context.Context) ([]*token, error)
	deleteAll func(ctx context.Context) error
	tokens    func(ctx context.Context) iter.Seq2[*token, error]

	lease      func(ctx context.Context, r leaseRequest) (*lease, error)
	renew      func(ctx context.Context, l *lease) error
	saveLeased func(ctx context.Context, l *lease, t *token) error
	release    func(ctx context.Context, l *lease) error
}

func (b *broken) FindToken(ctx context.Context, partial *token) (*token, error) {
	if b.find != nil {
		return b.find(ctx, partial)
	}
	return b.Store.FindToken(ctx, partial)
}

func (b *broken) FindTokenByID(ctx context.Context, id string) (*token, error) {
	if b.findByID != nil {
		return b.findByID(ctx, id)
	}
	return b.Store.FindTokenByID(ctx, id)
}

func (b *broken) SaveToken(ctx context.Context, t *token) error {
	if b.save != nil {
		return b.save(ctx, t)
	}
	return b.Store.SaveToken(ctx, t)
}

func (b *broken) UpdateToken(ctx context.Context, t *token) error {
	if b.update != nil {
		return b.update(ctx, t)
	}
	return b.Store.UpdateToken(ctx, t)
}

func (b *broken) DeleteToken(ctx context.Context, id string) error {
	if b.delete != nil {
		return b.delete(ctx, id)
	}
	return b.Store.DeleteToken(ctx, id)
}

func (b *broken) GetTokens(ctx context.Context) ([]*token, error) {
	if b.get != nil {
		return b.get(ctx)
	}
	return b.Store.GetTokens(ctx)
}

func (b *broken) DeleteTokens(ctx context.Context) error {
	if b.deleteAll != nil {
		return b.deleteAll(ctx)
	}
	return b.Store.DeleteTokens(ctx)
}

// memo is what a fault remembers by a key.
type memo[V any] struct{ m sync.Map }

func (m *memo[V]) set(key string, v V) { m.m.Store(key, v) }

// get returns the zero value for an unknown key.
func (m *memo[V]) get(key string) (v V) {
	if x, ok := m.m.Load(key); ok {
		v, _ = x.(V)
	}
	return v
}

// saveAs saves t as change makes it, and fills t in with what is stored, undone by undo.
func (b *broken) saveAs(ctx context.Context, t *token, change, undo func(*token)) error {
	if t == nil {
		return b.Store.SaveToken(ctx, t)
	}
	changed := *t
	change(&changed)
	if err := b.Store.SaveToken(ctx, &changed); err != nil {
		return err
	}
	undo(&changed)
	*t = changed
	return nil
}

// clean makes b change what it saves and what it looks for in one way.
func (b *broken) clean(change func(*token)) {
	b.save = func(ctx context.Context, t *token) error { return b.saveAs(ctx, t, change, nothing) }
	b.find = func(ctx context.Context, partial *token) (*token, error) {
		if partial == nil {
			return b.Store.FindToken(ctx, partial)
		}
		changed := *partial
		change(&changed)
		return b.Store.FindToken(ctx, &changed)
	}
}

// key makes b use the ids that encode makes of the caller's.
func (b *broken) key(encode func(string) string) {
	var given memo[string]
	back := func(t *token) {
		if id := given.get(t.ID); id != "" {
			t.ID = id
		}
	}
	b.save = func(ctx context.Context, t *token) error {
		return b.saveAs(ctx, t, func(t *token) {
			if id := t.ID; id != "" {
				t.ID = encode(id)
				given.set(t.ID, id)
			}
		}, back)
	}
	b.findByID = func(ctx context.Context, id string) (*token, error) {
		t, err := b.Store.FindTokenByID(ctx, encode(id))
		if err == nil {
			back(t)
		}
		return t, err
	}
	b.delete = func(ctx context.Context, id string) error { return b.Store.DeleteToken(ctx, encode(id)) }
	b.get = func(ctx context.Context) ([]*token, error) {
		all, err := b.Store.GetTokens(ctx)
		for _, t := range all {
			back(t)
		}
		return all, err
	}
}

// stored returns what is stored, for faults that look through all of it.
func (b *broken) stored() []*token {
	all, _ := b.Store.GetTokens(context.Background()) // never fails
	return all
}

// pick makes b find a token by user name with choose, where there are several.
func (b *broken) pick(choose func(partial *token, mine []*token) *token) {
	b.find = func(ctx context.Context, partial *token) (*token, error) {
		if err := ctx.Err(); err != nil || partial == nil || oauthstore.RuleFor(partial) != oauthstore.RuleUserName {
			return b.Store.FindToken(ctx, partial)
		}
		var mine []*token
		for _, t := range b.stored() {
			if t.UserName == partial.UserName && (t.ClientID == "" || partial.ClientID == "" || t.ClientID == partial.ClientID) {
				mine = append(mine, t)
			}
		}
		if len(mine) < 2 {
			return b.Store.FindToken(ctx, partial)
		}
		return choose(partial, mine), nil
	}
}

// alsoFind makes b look for a token in a second way where it finds none.
func (b *broken) alsoFind(second func(partial *token) *token) {
	b.find = func(ctx context.Context, partial *token) (*token, error) {
		found, err := b.Store.FindToken(ctx, partial)
		if err == nil || ctx.Err() != nil || partial == nil {
			return found, err
		}
		if t := second(partial); t != nil {
			return b.Store.FindToken(ctx, t)
		}
		return nil, err
	}
}

// remembering makes b find a token by a value that it once had, as by an index that no update touches.
func (b *broken) remembering(value func(*token) string) {
	var once memo[string] // id by value
	b.save = func(ctx context.Context, t *token) error {
		err := b.Store.SaveToken(ctx, t)
		if err == nil && value(t) != "" && once.get(value(t)) == "" {
			once.set(value(t), t.ID)
		}
		return err
	}
	b.alsoFind(func(partial *token) *token {
		if id := once.get(value(partial)); id != "" && partial.ID == "" {
			return &token{ID: id}
		}
		return nil
	})
}

// eachText calls f for every string field of t but its id.
func eachText(t *token, f func(name string, value *string)) {
	if t == nil {
		return
	}
	for name, value := range textFields(t) {
		f(name, value)
	}
}

func onText(f func(name string, value *string)) func(*token) {
	return func(t *token) { eachText(t, f) }
}

func nothing(*token) {}

// pause lets other goroutines in between two steps that should have been one.
func pause() { time.Sleep(200 * time.Microsecond) }

// A fault is what is wrong with a broken store.
type fault struct {
	says     string // what the store does, as the rest of "a store that …"
	caughtBy string // the check that must find it, whatever else does
	breakIt  func(b *broken)
}

// faults are all of them, one for each check at least.
var faults = slices.Concat(valueFaults, nameFaults, findFaults, saveFaults, staleFaults, conflictFaults, idFaults, getFaults, deleteFaults, updateFaults, rangeFaults, leaseFaults, contextFaults, concurrentFaults)
