package oauthotel_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/cache"
	"github.com/oauthstore/oauthstore/memory"
	oauthotel "github.com/oauthstore/oauthstore/otel"
)

func TestCacheObserver_events(t *testing.T) {
	for _, want := range outcomes {
		r := record(t)
		observe := oauthotel.CacheObserver(r.options(oauthotel.WithRecordIDs())...)
		observe(context.Background(), cache.Event{Kind: cache.Miss, ID: "record-17", UserName: "alice@example.com", Duration: time.Second, Err: want.err})
		observe(context.Background(), cache.Event{Kind: cache.Refresh, ID: "record-17", Duration: 2 * time.Second, Err: want.err})
		attributes := attributesOf(want.outcome, want.failure)
		r.wantCount(1, "oauthstore.cache.finds", append(attributes, str("oauthstore.cache.result", "miss"))...)
		r.wantCount(1, "oauthstore.cache.miss.duration", attributes...)
		r.wantCount(1, "oauthstore.cache.refresh.duration", attributes...)
		if miss, refresh := r.sum("oauthstore.cache.miss.duration"), r.sum("oauthstore.cache.refresh.duration"); miss != 1 || refresh != 2 {
			t.Errorf("got %v s of a miss and %v s of a refresh, want 1 and 2", miss, refresh)
		}
		if names := r.names(); len(names) > 0 {
			t.Errorf("got the spans %q, want none", names)
		}
	}
	r := record(t)
	observe := oauthotel.CacheObserver(r.options()...)
	observe(context.Background(), cache.Event{Kind: cache.Hit})
	observe(context.Background(), cache.Event{Kind: cache.Hit, Err: oauthstore.ErrTokenNotFound})
	observe(context.Background(), cache.Event{Kind: "another"})
	r.wantCount(1, "oauthstore.cache.finds", str("oauthstore.cache.result", "hit"), str("oauthstore.outcome", "ok"))
	r.wantCount(1, "oauthstore.cache.finds", str("oauthstore.cache.result", "hit"), str("oauthstore.outcome", "not_found"))
	if n := len(r.metrics()); n != 1 {
		t.Errorf("got %d metrics, want that of finds", n)
	}
}

func TestCacheObserver_countsWhatACacheDoes(t *testing.T) {
	r := record(t)
	store, err := cache.New(oauthotel.Wrap(memory.New(), r.options()...), cache.WithObserver(oauthotel.CacheObserver(r.options()...)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close(t.Context()) }()
	for _, want := range []error{oauthstore.ErrTokenNotFound, oauthstore.ErrTokenNotFound} {
		if _, err := store.FindTokenByID(t.Context(), "record-17"); !errors.Is(err, want) {
			t.Fatal(err)
		}
	}
	if err := store.SaveToken(t.Context(), secretToken()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := store.FindTokenByID(t.Context(), "record-17"); err != nil {
			t.Fatal(err)
		}
	}
	r.wantCount(1, "oauthstore.cache.finds", str("oauthstore.cache.result", "miss"), str("oauthstore.outcome", "not_found"))
	r.wantCount(1, "oauthstore.cache.finds", str("oauthstore.cache.result", "hit"), str("oauthstore.outcome", "not_found"))
	r.wantCount(3, "oauthstore.cache.finds", str("oauthstore.cache.result", "hit"), str("oauthstore.outcome", "ok"))
	r.wantCount(1, "oauthstore.operations", str("oauthstore.operation.name", "FindTokenByID"), str("oauthstore.outcome", "not_found"))
}

func TestCacheObserver_aHitAllocatesNothing(t *testing.T) {
	r := record(t)
	for name, observe := range map[string]func(context.Context, cache.Event){
		"SDK":         oauthotel.CacheObserver(r.options()...),
		"no provider": oauthotel.CacheObserver(oauthotel.WithMeterProvider(otel.GetMeterProvider())),
	} {
		for _, err := range []error{nil, oauthstore.ErrTokenNotFound} {
			e := cache.Event{Kind: cache.Hit, ID: "record-17", Err: err}
			observe(context.Background(), e)
			if n := testing.AllocsPerRun(100, func() { observe(context.Background(), e) }); n > 0 {
				t.Errorf("%s: a hit with error %v makes %v allocations, want none", name, err, n)
			}
		}
	}
}

func BenchmarkCacheObserver_hit(b *testing.B) {
	observe := oauthotel.CacheObserver(record(b).options()...)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			observe(context.Background(), cache.Event{Kind: cache.Hit})
		}
	})
}

func TestCacheObserver_concurrentUse(t *testing.T) {
	r := record(t)
	observe := oauthotel.CacheObserver(r.options()...)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				observe(context.Background(), cache.Event{Kind: cache.Hit})
				observe(context.Background(), cache.Event{Kind: cache.Miss, Err: oauthstore.ErrUnavailable})
			}
		}()
	}
	wg.Wait()
	if n := r.total("oauthstore.cache.finds"); n != 1600 {
		t.Errorf("got %d finds, want 1600", n)
	}
}
