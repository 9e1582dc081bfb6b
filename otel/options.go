package oauthotel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"github.com/oauthstore/oauthstore/internal/args"
)

// An Option changes where, and how much, is recorded. A nil Option is ignored.
type Option func(*config)

type config struct {
	tracers trace.TracerProvider
	meters  metric.MeterProvider
	ids     bool
}

// WithTracerProvider sets who makes spans. The default, and nil, is the global provider of package otel.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(c *config) { c.tracers = p }
}

// WithMeterProvider sets who keeps metrics. The default, and nil, is the global provider of package otel.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(c *config) { c.meters = p }
}

// WithRecordIDs names in each span the record that it is about, as oauthstore.record.id, or the secret, whose name holds
// the id, as oauthstore.secret. The default is not to: an id is whatever the application chose, often a user's name or
// number, and one that the store has made of a user name ([oauthstore.DerivedID]) can be computed by whoever guesses the
// name. Traces are read by more people than secrets are, and kept elsewhere. Metrics never have either.
func WithRecordIDs() Option {
	return func(c *config) { c.ids = true }
}

// scope names this package to OpenTelemetry.
const scope = "github.com/oauthstore/oauthstore/otel"

// telemetry is where to record.
type telemetry struct {
	tracer trace.Tracer
	meter  metric.Meter
	ids    bool
}

func newTelemetry(options []Option) telemetry {
	var c config
	args.Apply(&c, options)
	if args.IsNil(c.tracers) {
		c.tracers = otel.GetTracerProvider()
	}
	if args.IsNil(c.meters) {
		c.meters = otel.GetMeterProvider()
	}
	return telemetry{c.tracers.Tracer(scope), c.meters.Meter(scope), c.ids}
}

// past makes a span of what has ended now and took d; end ends it.
func (t telemetry) past(ctx context.Context, name string, kind trace.SpanKind, d time.Duration, attributes []attribute.KeyValue) (span trace.Span, end func()) {
	now := time.Now()
	_, span = t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithTimestamp(now.Add(-d)), trace.WithAttributes(attributes...))
	return span, func() { span.End(trace.WithTimestamp(now)) }
}

// counter returns a counter. That it cannot be made is told to OpenTelemetry's error handler, as by any
// instrumentation: it is no reason for a store not to work.
func (t telemetry) counter(name, unit, description string) metric.Int64Counter {
	c, err := t.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	if err != nil {
		otel.Handle(err)
	}
	if c == nil {
		return noop.Int64Counter{}
	}
	return c
}

// seconds are the bounds of durations: those that the semantic conventions give for HTTP requests, and two more for
// refreshes that wait for others. The SDK's own are made for milliseconds.
var seconds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60}

// duration returns a histogram of seconds.
func (t telemetry) duration(name, description string) metric.Float64Histogram {
	h, err := t.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
		metric.WithExplicitBucketBoundaries(seconds...))
	if err != nil {
		otel.Handle(err)
	}
	if h == nil {
		return noop.Float64Histogram{}
	}
	return h
}
