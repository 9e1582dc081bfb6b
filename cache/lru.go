package cache

import "container/list"

// An lru holds up to max values; the one that was used least recently makes room for another.
type lru[K comparable, V any] struct {
	max   int
	order *list.List          // of *pair[K, V], the latest used first
	byKey map[K]*list.Element // into order
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](limit int) lru[K, V] {
	return lru[K, V]{max: limit, order: list.New(), byKey: make(map[K]*list.Element)}
}

func (l *lru[K, V]) len() int { return len(l.byKey) }

// get returns the value, which it takes for used, or the zero value.
func (l *lru[K, V]) get(key K) V {
	if e, ok := l.byKey[key]; ok {
		l.order.MoveToFront(e)
	}
	return l.peek(key)
}

// peek returns the value, or the zero value.
func (l *lru[K, V]) peek(key K) V {
	e, ok := l.byKey[key]
	if !ok {
		var none V
		return none
	}
	return e.Value.(*pair[K, V]).value
}

// put returns the pair that makes room, nil if there is room.
func (l *lru[K, V]) put(key K, value V) (out *pair[K, V]) {
	l.drop(key)
	if len(l.byKey) >= l.max {
		out = l.last()
		l.drop(out.key)
	}
	l.byKey[key] = l.order.PushFront(&pair[K, V]{key, value})
	return out
}

// last returns the pair that was used least recently, nil if there is none.
func (l *lru[K, V]) last() *pair[K, V] {
	if e := l.order.Back(); e != nil {
		return e.Value.(*pair[K, V])
	}
	return nil
}

func (l *lru[K, V]) drop(key K) {
	if e, ok := l.byKey[key]; ok {
		l.order.Remove(e)
		delete(l.byKey, key)
	}
}

// dropWhere drops all values of which unwanted says so.
func (l *lru[K, V]) dropWhere(unwanted func(V) bool) {
	for key, e := range l.byKey {
		if unwanted(e.Value.(*pair[K, V]).value) {
			l.drop(key)
		}
	}
}

// byUser holds values by user name and client id.
type byUser[V any] struct {
	values  lru[key, *V]
	clients map[string]map[string]struct{} // of each user name in values
}

func newByUser[V any](limit int) byUser[V] {
	return byUser[V]{newLRU[key, *V](limit), make(map[string]map[string]struct{})}
}

func (b *byUser[V]) get(k key) *V { return b.values.get(k) }

func (b *byUser[V]) put(k key, value *V) {
	if out := b.values.put(k, value); out != nil {
		b.unlist(out.key)
	}
	clients := b.clients[k.user]
	if clients == nil {
		clients = make(map[string]struct{})
		b.clients[k.user] = clients
	}
	clients[k.client] = struct{}{}
}

func (b *byUser[V]) drop(k key) {
	b.values.drop(k)
	b.unlist(k)
}

func (b *byUser[V]) unlist(k key) {
	clients := b.clients[k.user]
	if delete(clients, k.client); len(clients) == 0 {
		delete(b.clients, k.user)
	}
}

// dropName drops what is held under the user name, whatever the client id.
func (b *byUser[V]) dropName(user string) {
	b.dropOf(user, func(key, *V) bool { return true })
}

// dropOf drops the values of the user name for which unwanted is true.
func (b *byUser[V]) dropOf(user string, unwanted func(key, *V) bool) {
	for client := range b.clients[user] {
		if k := (key{user: user, client: client}); unwanted(k, b.values.peek(k)) {
			b.drop(k)
		}
	}
}
