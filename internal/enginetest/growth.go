package enginetest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
)

var growth = flag.Int("growth", 1000, "up to how many tokens RunGrowth lets a store grow: 10, 100, 1000 and so on")

// Growth is what a call costs in requests, whatever the number of tokens.
type Growth struct {
	Find    int // by id or user name
	Refresh int // a save of a token that exists
	Insert  int // where the page of the index was seen lately
	Delete  int // likewise
	Probe   int // an insert by a store that has met no token yet asks that much more
	Batch   int // tokens that GetTokens reads in one request
}

const (
	repeats = 20 // calls of each kind
	callers = 512
	senders = 8

	// mostExtra is what the call that divides a page of the index may cost more than another.
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
		g.note("fill, seconds", fmt.Sprintf("%.1f", time.Since(begin).Seconds()))
		g.measure(n)
	}
	t.Log(g.table())
}

// filling is a driver for the store that fills the server. It lets few requests through at a time: what many
// callers want of the index gathers meanwhile. It knows of no limit of writes, as if there were much time between
// them: the index gets the pages of a store that has grown slowly, and none of them is near the limit when the
// stores with a driver as it is come to it.
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

// fill lets the store grow to n tokens.
func (g *growing) fill(n int) {
	g.t.Helper()
	first := len(g.filled)
	for len(g.filled) < n {
		g.filled = append(g.filled, g.newUser())
	}
	jobs := make(chan *oauthstore.OAuthToken)
	var wg sync.WaitGroup
	for range min(callers, n) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for token := range jobs {
				if err := again(func() error { return g.filler.SaveToken(context.Background(), token) }); err != nil {
					g.t.Errorf("SaveToken: %v", err)
				}
			}
		}()
	}
	for _, token := range g.filled[first:] {
		jobs <- token
	}
	close(jobs)
	wg.Wait()
	g.b.Control().ResetRequests()
	if g.t.Failed() {
		g.t.FailNow()
	}
}

// rest lets the index's root forget how often it was written, where it is the only page: so many calls as are
// measured here would come in days, not in a second.
func (g *growing) rest() {
	g.t.Helper()
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
	median, most := costs[repeats/2], costs[repeats-1]
	g.note(name, fmt.Sprintf("%d (mean %.2f, most %d)", median, float64(sum)/repeats, most))
	if most > median+mostExtra {
		g.t.Errorf("%s: got %d requests in one call, want no more than %d", name, most, median+mostExtra)
	}
	g.rest()
	return median
}

// constant is typical where all calls must cost the same.
func (g *growing) constant(name string, want int, call func(i int) int) {
	g.t.Helper()
	g.typical(name, func(i int) int {
		got := call(i)
		if got != want {
			g.t.Errorf("%s: got %d requests, want %d: %v", name, got, want, g.b.Control().Counts())
		}
		return got
	})
}

// measure makes the calls. The number of tokens is the same before and after.
func (g *growing) measure(n int) {
	t, ctx := g.t, context.Background()
	t.Helper()
	pages := g.pages()
	g.note("pages of the index", fmt.Sprint(pages))
	paged := min(pages, 1)
	atMost := func(name string, got, want int) {
		t.Helper()
		if got > want {
			t.Errorf("%s with %d tokens: got %d requests, want no more than %d", name, n, got, want)
		}
	}
	one := func(i int) *oauthstore.OAuthToken { return g.filled[i*n/repeats%n] }
	process := g.b.NewStore(t)

	g.constant("FindTokenByID", g.want.Find, func(i int) int {
		return g.cost(func() error { _, err := process.FindTokenByID(ctx, one(i).ID); return err })
	})
	find := func(s Store, user string) error {
		_, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: user})
		return err
	}
	g.constant("FindToken by user name", g.want.Find, func(i int) int {
		return g.cost(func() error { return find(process, one(i).UserName) })
	})
	refresh := func(s Store, i int) int {
		token := &oauthstore.OAuthToken{UserName: one(i).UserName, ClientID: "app", AccessToken: fmt.Sprint("new", n, g.users, i)}
		return g.cost(func() error { return s.SaveToken(ctx, token) })
	}
	g.constant("SaveToken, refresh", g.want.Refresh, func(i int) int {
		if err := find(process, one(i).UserName); err != nil {
			t.Fatal(err)
		}
		return refresh(process, i)
	})
	g.constant("SaveToken, refresh, cold", g.want.Refresh, func(i int) int { return refresh(g.b.NewStore(t), i) })

	// The page of a user was seen lately by who has just not found that user, the root by who has looked for any.
	var inserted []string
	insert := func(s Store, look func(token *oauthstore.OAuthToken) string) int {
		token := g.newUser()
		if look != nil {
			if err := find(s, look(token)); !errors.Is(err, oauthstore.ErrTokenNotFound) {
				t.Fatalf("FindToken: got error %v, want ErrTokenNotFound", err)
			}
		}
		cost := g.cost(func() error { return s.SaveToken(ctx, token) })
		inserted = append(inserted, token.ID)
		return cost
	}
	itself := func(token *oauthstore.OAuthToken) string { return token.UserName }
	nobody := func(*oauthstore.OAuthToken) string { return "nobody" }
	warm := g.typical("SaveToken, new user, page seen", func(int) int { return insert(process, itself) })
	atMost("SaveToken, new user, page seen", warm, g.want.Insert)
	warm = g.typical("SaveToken, new user, root seen", func(int) int { return insert(g.b.NewStore(t), nobody) })
	atMost("SaveToken, new user, root seen", warm, g.want.Insert+paged)
	cold := g.typical("SaveToken, new user, cold", func(int) int { return insert(g.b.NewStore(t), nil) })
	atMost("SaveToken, new user, cold", cold, g.want.Insert+1+paged+g.want.Probe)

	remove := func(s Store) int {
		id := inserted[0]
		inserted = inserted[1:]
		return g.cost(func() error { return s.DeleteToken(ctx, id) })
	}
	warm = g.typical("DeleteToken, page seen", func(int) int { return remove(process) })
	atMost("DeleteToken, page seen", warm, g.want.Delete)
	warm = g.typical("DeleteToken, root seen", func(int) int {
		s := g.b.NewStore(t)
		if err := find(s, "nobody"); !errors.Is(err, oauthstore.ErrTokenNotFound) {
			t.Fatalf("FindToken: got error %v, want ErrTokenNotFound", err)
		}
		return remove(s)
	})
	atMost("DeleteToken, root seen", warm, g.want.Delete+paged)
	cold = g.typical("DeleteToken, cold", func(int) int { return remove(g.b.NewStore(t)) })
	atMost("DeleteToken, cold", cold, g.want.Delete+1+paged)

	pages = g.pages()
	all := g.cost(func() error {
		tokens, err := g.b.NewStore(t).GetTokens(ctx)
		if err == nil && len(tokens) != n {
			err = fmt.Errorf("GetTokens: got %d tokens, want %d", len(tokens), n)
		}
		return err
	})
	g.note("GetTokens", fmt.Sprint(all))
	atMost("GetTokens", all, 1+pages+(n+g.want.Batch-1)/g.want.Batch)
}

// pages counts the pages of the index.
func (g *growing) pages() int {
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

// table is what was measured, in Markdown: the requests of each call, as the median.
func (g *growing) table() string {
	head, rule := "\n| tokens |", "| --- |"
	for n := 10; n <= *growth; n *= 10 {
		head += fmt.Sprintf(" %d |", n)
		rule += " --- |"
	}
	lines := []string{head, rule}
	for _, row := range g.rows {
		lines = append(lines, "| "+row+" | "+strings.Join(g.cells[row], " | ")+" |")
	}
	return strings.Join(lines, "\n")
}

var _ = cmp.Or[int]
