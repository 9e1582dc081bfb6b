package enginetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
)

var growth = flag.Int("growth", 100, "up to how many tokens RunGrowth lets a store grow: 10, 100, 1000 and so on; it has pages from 1000 on")

// Growth is what a call costs in requests, whatever the number of tokens.
type Growth struct {
	Find    int // by id or user name
	Refresh int // a save of a token that exists
	Insert  int // mostly, where the page of the index was seen lately
	Delete  int // likewise
	First   int // what an insert costs more that is the first call of a store
	Write   int // what the first write of a store costs more
	Page    int // reading a page of the index, at most: more than 1 where others have lost a race for it
	Batch   int // tokens that GetTokens reads in one request
}

const (
	callers = 96 // that fill the server: what they want at a time fits in one page of the index
	senders = 8  // of them that are let through at a time

	// keyed, before a user name, makes the hash by which the index is ordered.
	keyed = "oauthstore/page/user\x00"

	// repeats is how many calls of each kind are made: so many that their median is not one of the few calls, one in
	// sixteen, that look for retired pages or divide one.
	repeats = 20

	// mostExtra is what a call may cost more than others of its kind, because it divides a page of the index.
	mostExtra = 40
)

// RunGrowth lets a store grow to 10 tokens, 100, 1,000 and so on, and compares what the calls cost with what is
// promised. The log has it as a table. The server must take any number of writes.
func RunGrowth(t *testing.T, b Backend, want Growth) {
	g := &growing{t: t, b: b, want: want}
	g.filler = engine.New(&filling{b.Driver(t), make(chan struct{}, senders)}, codec.JSON{}, engine.MaxTimeout)
	for n := 10; n <= *growth; n *= 10 {
		begin := time.Now()
		g.fill(n)
		took := time.Since(begin)
		t.Logf("filled to %d tokens in %v", n, took)
		g.note("fill, seconds", fmt.Sprintf("%.1f", took.Seconds()))
		g.measure()
		if n >= 1000 {
			t.Log(g.table())
		}
	}
}

// filling is a driver for the store that fills the server: one for all callers, since several would be in each
// other's way. It lets few requests through at a time, so that what the callers want of the index gathers meanwhile.
// It knows of no limit of writes, and keeps no count of them, as if there were much time between them: the index gets the pages
// of a store that has grown slowly, none of which is near the limit when the stores that are measured come to it.
type filling struct {
	engine.Driver
	places chan struct{}
}

func (f *filling) enter() (leave func()) {
	f.places <- struct{}{}
	return func() { <-f.places }
}

// Limits implements engine.Driver.
func (f *filling) Limits() engine.Limits {
	l := f.Driver.Limits()
	l.Writes, l.Per = 0, 0
	return l
}

// Get implements engine.Driver.
func (f *filling) Get(ctx context.Context, name string, after engine.Rev) (engine.Record, engine.Rev, error) {
	defer f.enter()()
	return f.Driver.Get(ctx, name, after)
}

// Put implements engine.Driver.
func (f *filling) Put(ctx context.Context, name string, base engine.Rev, rec engine.Record, tidy int) (engine.Rev, error) {
	defer f.enter()()
	rec.Writes = nil
	return f.Driver.Put(ctx, name, base, rec, tidy)
}

// Delete implements engine.Driver.
func (f *filling) Delete(ctx context.Context, name string, base engine.Rev, tombstone engine.Record) error {
	defer f.enter()()
	return f.Driver.Delete(ctx, name, base, tombstone)
}

// growing is a server on which a store grows.
type growing struct {
	t      *testing.T
	b      Backend
	want   Growth
	filler *engine.Store
	users  int // so many user names were used
	filled []*oauthstore.OAuthToken
	pages  int // of the index

	rows  []string // in the order in which they came
	cells map[string][]string
}

// newUser returns the token of a user whom nobody has heard of.
func (g *growing) newUser() *oauthstore.OAuthToken {
	g.users++
	return &oauthstore.OAuthToken{
		UserName: fmt.Sprintf("user%d@example.com", g.users), ClientID: "app", ClientSecret: "secret",
		RefreshToken: fmt.Sprint("refresh", g.users), AccessToken: fmt.Sprint("access", g.users),
	}
}

// fill lets the store grow to n tokens. They come in the order that they have in the index, which makes no
// difference to the pages that it gets, but lets those that come together share a write of one.
func (g *growing) fill(n int) {
	g.t.Helper()
	first := len(g.filled)
	for len(g.filled) < n {
		g.filled = append(g.filled, g.newUser())
	}
	added := g.filled[first:]
	slices.SortFunc(added, func(a, b *oauthstore.OAuthToken) int {
		k, l := sha256.Sum256([]byte(keyed+a.UserName)), sha256.Sum256([]byte(keyed+b.UserName))
		return bytes.Compare(k[:], l[:])
	})
	jobs := make(chan *oauthstore.OAuthToken)
	var wg sync.WaitGroup
	var failed atomic.Bool
	for range min(callers, n) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for token := range jobs {
				if err := again(func() error { return g.filler.SaveToken(context.Background(), token) }); err != nil {
					g.t.Errorf("SaveToken: %v", err)
					failed.Store(true)
				}
			}
		}()
	}
	for _, token := range added {
		jobs <- token
	}
	close(jobs)
	wg.Wait()
	g.b.Control().ResetRequests()
	if failed.Load() {
		g.t.FailNow()
	}
}

// rest lets the root, where it is the only page, forget how often it was written: so many calls as are measured
// here would come in days, not in a second.
func (g *growing) rest() {
	g.t.Helper()
	if g.pages > 0 {
		return
	}
	token := save(g.t, g.filler, g.newUser())
	if err := g.filler.DeleteToken(context.Background(), token.ID); err != nil {
		g.t.Fatal(err)
	}
}

// cost is how many requests do makes.
func (g *growing) cost(do func() error) int {
	g.t.Helper()
	g.b.Control().ResetRequests()
	if err := do(); err != nil {
		g.t.Fatal(err)
	}
	return g.b.Control().Count()
}

// typical measures one kind of call and returns the median of what it costs.
func (g *growing) typical(name string, call func(i int) int) int {
	g.t.Helper()
	costs := make([]int, repeats)
	sum := 0
	for i := range costs {
		costs[i] = call(i)
		sum += costs[i]
	}
	slices.Sort(costs)
	median, most := costs[len(costs)/2], costs[len(costs)-1]
	g.note(name, fmt.Sprintf("%d (mean %.2f, most %d)", median, float64(sum)/float64(len(costs)), most))
	if most > median+mostExtra {
		g.t.Errorf("%s, %d tokens: got %d requests in one call, want no more than %d", name, len(g.filled), most, median+mostExtra)
	}
	g.rest()
	return median
}

// always demands that all calls cost the same.
func (g *growing) always(name string, want int, call func(i int) int) {
	g.t.Helper()
	g.typical(name, func(i int) int {
		got := call(i)
		if got != want {
			g.t.Errorf("%s, %d tokens: got the requests %v, want %d", name, len(g.filled), g.b.Control().Counts(), want)
		}
		return got
	})
}

// mostly demands that the median is between the two.
func (g *growing) mostly(name string, least, most int, call func(i int) int) {
	g.t.Helper()
	if got := g.typical(name, call); got < least || got > most {
		g.t.Errorf("%s, %d tokens: got %d requests, want %d to %d", name, len(g.filled), got, least, most)
	}
}

// measure makes the calls. The number of tokens is the same before and after.
func (g *growing) measure() {
	g.t.Helper()
	g.pages = g.countPages()
	g.note("pages of the index", fmt.Sprint(g.pages))
	g.measureFinds()
	g.measureRefreshes()
	g.measureChanges()
	g.measureGetTokens()
}

// some returns a token that is there.
func (g *growing) some(i int) *oauthstore.OAuthToken {
	return g.filled[i*len(g.filled)/repeats]
}

func (g *growing) measureFinds() {
	g.t.Helper()
	s := g.b.NewStore(g.t)
	g.always("FindTokenByID", g.want.Find, func(i int) int {
		return g.cost(func() error { _, err := s.FindTokenByID(context.Background(), g.some(i).ID); return err })
	})
	g.always("FindToken by user name", g.want.Find, func(i int) int {
		return g.cost(func() error { return find(s, g.some(i).UserName, "") })
	})
}

func find(s Store, user, client string) error {
	_, err := s.FindToken(context.Background(), &oauthstore.OAuthToken{UserName: user, ClientID: client})
	return err
}

func (g *growing) measureRefreshes() {
	g.t.Helper()
	s := g.b.NewStore(g.t)
	g.refresh(s, 0)
	g.always("SaveToken, refresh", g.want.Refresh, func(i int) int {
		if err := find(s, g.some(i).UserName, ""); err != nil {
			g.t.Fatal(err)
		}
		return g.refresh(s, i)
	})
	g.always("SaveToken, refresh, cold", g.want.Refresh+g.want.Write, func(i int) int { return g.refresh(g.b.NewStore(g.t), i) })
}

// refresh saves a new access token of a user, and returns what that costs.
func (g *growing) refresh(s Store, i int) int {
	g.users++
	token := &oauthstore.OAuthToken{UserName: g.some(i).UserName, ClientID: "app", AccessToken: fmt.Sprint("access", g.users)}
	return g.cost(func() error { return s.SaveToken(context.Background(), token) })
}

// measureChanges inserts and deletes: where the store has seen the user's page of the index in the last minute,
// where it knows the root and thus which page it is, and where it knows nothing.
func (g *growing) measureChanges() {
	g.t.Helper()
	const nobody = "nobody@example.com"
	see := func(s Store, user, client string) Store { // a miss reads the page where the user would be
		if err := find(s, user, client); !errors.Is(err, oauthstore.ErrTokenNotFound) {
			g.t.Fatalf("FindToken: got error %v, want ErrTokenNotFound", err)
		}
		return s
	}
	s := g.b.NewStore(g.t)
	below := min(g.pages, 1) // whether there are pages below the root

	var inserted []*oauthstore.OAuthToken
	insert := func(knowing func(user string) Store) func(int) int {
		return func(int) int {
			token := g.newUser()
			s := knowing(token.UserName)
			inserted = append(inserted, token)
			return g.cost(func() error { return s.SaveToken(context.Background(), token) })
		}
	}
	least, page := g.want.Insert, g.want.Page
	g.refresh(s, 0)
	g.mostly("SaveToken, new user, page seen", least, least, insert(func(user string) Store { return see(s, user, "app") }))
	least += g.want.Write
	g.mostly("SaveToken, new user, root seen", least, least+below*page, insert(func(string) Store { return see(g.b.NewStore(g.t), nobody, "") }))
	least += g.want.First
	g.mostly("SaveToken, new user, cold", least+1+below, least+(1+below)*page, insert(func(string) Store { return g.b.NewStore(g.t) }))

	remove := func(knowing func(user string) Store) func(int) int {
		return func(int) int {
			token := inserted[0]
			inserted = inserted[1:]
			s := knowing(token.UserName)
			return g.cost(func() error { return s.DeleteToken(context.Background(), token.ID) })
		}
	}
	least = g.want.Delete
	g.mostly("DeleteToken, page seen", least, least, remove(func(user string) Store { return see(s, user, "another app") }))
	least += g.want.Write
	g.mostly("DeleteToken, root seen", least, least+below*page, remove(func(string) Store { return see(g.b.NewStore(g.t), nobody, "") }))
	g.mostly("DeleteToken, cold", least+1+below, least+(1+below)*page, remove(func(string) Store { return g.b.NewStore(g.t) }))
}

func (g *growing) measureGetTokens() {
	g.t.Helper()
	s, n := g.b.NewStore(g.t), len(g.filled)
	got := g.cost(func() error {
		tokens, err := s.GetTokens(context.Background())
		if err == nil && len(tokens) != n {
			err = fmt.Errorf("GetTokens: got %d tokens, want %d", len(tokens), n)
		}
		return err
	})
	g.note("GetTokens", fmt.Sprint(got))
	if most := (1+g.countPages())*g.want.Page + (n+g.want.Batch-1)/g.want.Batch; got > most {
		g.t.Errorf("GetTokens, %d tokens: got %d requests, want no more than %d", n, got, most)
	}
}

// countPages counts the pages of the index.
func (g *growing) countPages() int {
	g.t.Helper()
	d, count := g.b.Driver(g.t), 0
	Listed(g.t, func(name string) map[string]json.RawMessage {
		if strings.HasPrefix(name, "page_") {
			count++
		}
		return get(g.t, d, name).Document
	})
	return count
}

func (g *growing) note(row, cell string) {
	if g.cells == nil {
		g.cells = make(map[string][]string)
	}
	if g.cells[row] == nil {
		g.rows = append(g.rows, row)
	}
	g.cells[row] = append(g.cells[row], cell)
}

// table is what was measured up to now, in Markdown: the requests of each call, as the median.
func (g *growing) table() string {
	head, rule := "\n| tokens |", "| --- |"
	for n := 10; n <= len(g.filled); n *= 10 {
		head += fmt.Sprintf(" %d |", n)
		rule += " --- |"
	}
	lines := []string{head, rule}
	for _, row := range g.rows {
		lines = append(lines, "| "+row+" | "+strings.Join(g.cells[row], " | ")+" |")
	}
	return strings.Join(lines, "\n")
}
