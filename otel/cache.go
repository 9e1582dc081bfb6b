package oauthotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/oauthstore/oauthstore/cache"
)

const resultKey = attribute.Key("oauthstore.cache.result")

// CacheObserver returns an observer for cache.WithObserver. It keeps metrics and makes no spans; the spans of what a
// cache asks are those of a wrapped store behind it. A hit costs one addition, and no allocation.
func CacheObserver(options ...Option) func(context.Context, cache.Event) {
	t := newTelemetry(options)
	finds := t.counter("oauthstore.cache.finds", "{find}", "Finds that the cache can answer.")
	misses := t.duration("oauthstore.cache.miss.duration", "How long finds have waited for the store.")
	refreshes := t.duration("oauthstore.cache.refresh.duration", "Duration of reads in the background.")

	of := func(result string, o outcome) []metric.AddOption {
		set := attribute.NewSet(append(o.attributes(), resultKey.String(result))...)
		return []metric.AddOption{metric.WithAttributeSet(set)}
	}
	// Made once: attributes that are made for each hit would cost more than the hit. Nothing else is remembered.
	hit, absent := of("hit", ok), of("hit", notFound)

	return func(ctx context.Context, e cache.Event) {
		switch e.Kind {
		case cache.Hit:
			if e.Err == nil {
				finds.Add(ctx, 1, hit...)
			} else {
				finds.Add(ctx, 1, absent...)
			}
		case cache.Miss:
			o := outcomeOf(ctx, e.Err)
			finds.Add(ctx, 1, of("miss", o)...)
			misses.Record(ctx, e.Duration.Seconds(), metric.WithAttributes(o.attributes()...))
		case cache.Refresh:
			refreshes.Record(ctx, e.Duration.Seconds(), metric.WithAttributes(outcomeOf(ctx, e.Err).attributes()...))
		}
	}
}
