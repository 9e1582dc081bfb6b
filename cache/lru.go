package cache

import "container/list"

// An lru holds up to max values; the one that was used least recently makes room for another.
type lru[V any] struct {
	max   int
	order *list.List               // of *pair[V], the latest used first
	byKey map[string]*list.Element // into order
}

type pair[V any] struct {
	key   string
	value V
}

func newLRU[V any](limit int) lru[V] {
	return lru[V]{max: limit, order: list.New(), byKey: make(map[string]*list.Element)}
}

func (l *lru[V]) len() int { return len(l.byKey) }

// get returns the value, which it takes for used, or the zero value.
func (l *lru[V]) get(key string) V {
	e, ok := l.byKey[key]
	if !ok {
		var none V
		return none
	}
	l.order.MoveToFront(e)
	return e.Value.(*pair[V]).value
}

func (l *lru[V]) put(key string, value V) {
	l.drop(key)
	if len(l.byKey) >= l.max {
		l.drop(l.order.Back().Value.(*pair[V]).key)
	}
	l.byKey[key] = l.order.PushFront(&pair[V]{key, value})
}

func (l *lru[V]) drop(key string) {
	if e, ok := l.byKey[key]; ok {
		l.order.Remove(e)
		delete(l.byKey, key)
	}
}

// dropWhere drops all values of which unwanted says so.
func (l *lru[V]) dropWhere(unwanted func(V) bool) {
	for key, e := range l.byKey {
		if unwanted(e.Value.(*pair[V]).value) {
			l.drop(key)
		}
	}
}

// byUser holds values by user name and client id.
type byUser[V any] struct{ names lru[map[string]*V] }

// maxClients is how many client ids of one user name are held.
const maxClients = 16

func (b *byUser[V]) get(k key) *V { return b.names.get(k.user)[k.client] }

func (b *byUser[V]) put(k key, value *V) {
	clients := b.names.get(k.user)
	if clients == nil {
		clients = make(map[string]*V)
		b.names.put(k.user, clients)
	}
	if len(clients) >= maxClients {
		clear(clients)
	}
	clients[k.client] = value
}

func (b *byUser[V]) drop(k key) { delete(b.names.get(k.user), k.client) }

// dropName drops what is held under the user name, whatever the client id.
func (b *byUser[V]) dropName(user string) { b.names.drop(user) }
