package oauthotel_test

import (
	"context"
	"encoding/json"
	"iter"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/oauthstore/oauthstore"
	oauthotel "github.com/oauthstore/oauthstore/otel"
)

// A recording is all that is exported.
type recording struct {
	t        testing.TB
	exporter *tracetest.InMemoryExporter
	tracers  *sdktrace.TracerProvider
	reader   *sdkmetric.ManualReader
	meters   *sdkmetric.MeterProvider
}

func record(t testing.TB, options ...sdktrace.TracerProviderOption) *recording {
	r := &recording{t: t, exporter: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	r.tracers = sdktrace.NewTracerProvider(append(options, sdktrace.WithSyncer(r.exporter))...)
	r.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader))
	return r
}

// options are those that record here.
func (r *recording) options(more ...oauthotel.Option) []oauthotel.Option {
	return append([]oauthotel.Option{oauthotel.WithTracerProvider(r.tracers), oauthotel.WithMeterProvider(r.meters)}, more...)
}

func (r *recording) metrics() []metricdata.Metrics {
	r.t.Helper()
	var data metricdata.ResourceMetrics
	if err := r.reader.Collect(context.Background(), &data); err != nil {
		r.t.Fatal(err)
	}
	var all []metricdata.Metrics
	for _, s := range data.ScopeMetrics {
		all = append(all, s.Metrics...)
	}
	return all
}

// A point is one series of a metric: how often was counted or timed, and the sum.
type point struct {
	attributes attribute.Set
	count      int
	sum        float64
}

func (r *recording) points(name string) (points []point) {
	r.t.Helper()
	for _, m := range r.metrics() {
		if m.Name != name {
			continue
		}
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				points = append(points, point{p.Attributes, int(p.Value), float64(p.Value)})
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				points = append(points, point{p.Attributes, int(p.Count), p.Sum})
			}
		default:
			r.t.Errorf("%s: metric of type %T", name, data)
		}
	}
	return points
}

// total returns how often was counted, or timed, under the name.
func (r *recording) total(name string) (n int) {
	for _, p := range r.points(name) {
		n += p.count
	}
	return n
}

// sum returns the seconds that were recorded under the name.
func (r *recording) sum(name string) (sum float64) {
	for _, p := range r.points(name) {
		sum += p.sum
	}
	return sum
}

// count returns how often was counted, or timed, under the name with exactly these attributes.
func (r *recording) count(name string, attributes ...attribute.KeyValue) int {
	r.t.Helper()
	want := attribute.NewSet(attributes...)
	for _, p := range r.points(name) {
		if p.attributes.Equals(&want) {
			return p.count
		}
	}
	return 0
}

func (r *recording) wantCount(n int, name string, attributes ...attribute.KeyValue) {
	r.t.Helper()
	if got := r.count(name, attributes...); got != n {
		r.t.Errorf("%s%v: got %d, want %d; there is %s", name, attributes, got, n, text(r.t, r.metrics()))
	}
}

// span returns the only span of this name that has ended.
func (r *recording) span(name string) tracetest.SpanStub {
	r.t.Helper()
	var found []tracetest.SpanStub
	for _, s := range r.exporter.GetSpans() {
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		r.t.Fatalf("got %d spans %s, want one", len(found), name)
	}
	return found[0]
}

// names are those of the spans, in the order in which they ended.
func (r *recording) names() (names []string) {
	for _, s := range r.exporter.GetSpans() {
		names = append(names, s.Name)
	}
	return names
}

// wantUTF8 demands that everything exported is UTF-8: one other text makes exporters refuse the whole batch.
func (r *recording) wantUTF8() {
	r.t.Helper()
	check := func(attributes []attribute.KeyValue) {
		for _, a := range attributes {
			if !utf8.ValidString(a.Value.AsString()) {
				r.t.Errorf("%s: not UTF-8: %q", a.Key, a.Value.AsString())
			}
		}
	}
	for _, m := range r.metrics() {
		for _, p := range r.points(m.Name) {
			check(p.attributes.ToSlice())
		}
	}
	for _, s := range r.exporter.GetSpans() {
		check(s.Attributes)
		for _, e := range s.Events {
			check(e.Attributes)
		}
	}
}

// text is all that there is in what is exported.
func text(t testing.TB, exported any) string {
	t.Helper()
	b, err := json.Marshal(exported)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// has returns the value of an attribute, nil where it is not set.
func has(attributes []attribute.KeyValue, key string) any {
	for _, a := range attributes {
		if string(a.Key) == key {
			return a.Value.AsInterface()
		}
	}
	return nil
}

func wantAttribute(t testing.TB, what string, attributes []attribute.KeyValue, key string, want any) {
	t.Helper()
	if got := has(attributes, key); got != want {
		t.Errorf("%s: %s: got %v, want %v", what, key, got, want)
	}
}

func str(key, value string) attribute.KeyValue { return attribute.String(key, value) }

// bare is a store without other abilities.
type bare struct{ oauthstore.TokenStore }

// fixed answers every call with the same.
type fixed struct {
	token *oauthstore.OAuthToken
	lease *oauthstore.Lease
	err   error
	do    func(ctx context.Context) // before it answers, where it is set
}

func (f *fixed) answer(ctx context.Context) error {
	if f.do != nil {
		f.do(ctx)
	}
	return f.err
}

func (f *fixed) FindToken(ctx context.Context, _ *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return f.token, f.answer(ctx)
}

func (f *fixed) FindTokenByID(ctx context.Context, _ string) (*oauthstore.OAuthToken, error) {
	return f.token, f.answer(ctx)
}
func (f *fixed) SaveToken(ctx context.Context, _ *oauthstore.OAuthToken) error {
	return f.answer(ctx)
}
func (f *fixed) UpdateToken(ctx context.Context, _ *oauthstore.OAuthToken) error {
	return f.answer(ctx)
}
func (f *fixed) DeleteToken(ctx context.Context, _ string) error { return f.answer(ctx) }
func (f *fixed) DeleteTokens(ctx context.Context) error          { return f.answer(ctx) }
func (f *fixed) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	return []*oauthstore.OAuthToken{f.token}, f.answer(ctx)
}

func (f *fixed) Tokens(ctx context.Context) iter.Seq2[*oauthstore.OAuthToken, error] {
	return func(yield func(*oauthstore.OAuthToken, error) bool) {
		if err := f.answer(ctx); err != nil {
			yield(nil, err)
			return
		}
		yield(f.token, nil)
	}
}

func (f *fixed) Repair(ctx context.Context, _ oauthstore.RepairOptions) (*oauthstore.RepairReport, error) {
	return &oauthstore.RepairReport{Tokens: 7}, f.answer(ctx)
}

func (f *fixed) LeaseToken(ctx context.Context, _ oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	return f.lease, f.answer(ctx)
}
func (f *fixed) RenewLease(ctx context.Context, _ *oauthstore.Lease) error { return f.answer(ctx) }
func (f *fixed) SaveLeased(ctx context.Context, _ *oauthstore.Lease, _ *oauthstore.OAuthToken) error {
	return f.answer(ctx)
}
func (f *fixed) ReleaseLease(ctx context.Context, _ *oauthstore.Lease) error { return f.answer(ctx) }

// hush begins every secret.
const hush = "hush-"

func secretToken() *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{
		ID: "record-17", UserName: "alice@example.com", ClientID: "client-5", ClientSecret: hush + "client",
		RedirectURL: "https://app.example.com/?" + hush + "redirect", GrantToken: hush + "grant", RefreshToken: hush + "refresh",
		AccessToken: hush + "access", Extra: `{"id_token":"` + hush + `id"}`,
	}
}

// operations are all of a Store, by name. Each goes on with what the store returns.
var operations = map[string]func(ctx context.Context, s *oauthotel.Store, token *oauthstore.OAuthToken) error{
	"FindToken": func(ctx context.Context, s *oauthotel.Store, token *oauthstore.OAuthToken) error {
		_, err := s.FindToken(ctx, token)
		return err
	},
	"FindTokenByID": func(ctx context.Context, s *oauthotel.Store, token *oauthstore.OAuthToken) error {
		_, err := s.FindTokenByID(ctx, token.ID)
		return err
	},
	"SaveToken": func(ctx context.Context, s *oauthotel.Store, token *oauthstore.OAuthToken) error {
		return s.SaveToken(ctx, token)
	},
	"UpdateToken": func(ctx context.Context, s *oauthotel.Store, token *oauthstore.OAuthToken) error {
		return s.UpdateToken(ctx, token)
	},
	"DeleteToken": func(ctx context.Context, s *oauthotel.Store, token *oauthstore.OAuthToken) error {
		return s.DeleteToken(ctx, token.ID)
	},
	"GetTokens": func(ctx context.Context, s *oauthotel.Store, _ *oauthstore.OAuthToken) error {
		_, err := s.GetTokens(ctx)
		return err
	},
	"DeleteTokens": func(ctx context.Context, s *oauthotel.Store, _ *oauthstore.OAuthToken) error {
		return s.DeleteTokens(ctx)
	},
	"Tokens": func(ctx context.Context, s *oauthotel.Store, _ *oauthstore.OAuthToken) (last error) {
		for _, err := range s.Tokens(ctx) {
			last = err
		}
		return last
	},
	"Repair": func(ctx context.Context, s *oauthotel.Store, _ *oauthstore.OAuthToken) error {
		_, err := s.Repair(ctx, oauthstore.RepairOptions{DryRun: true})
		return err
	},
	"LeaseToken": func(ctx context.Context, s *oauthotel.Store, token *oauthstore.OAuthToken) error {
		_, err := s.LeaseToken(ctx, oauthstore.LeaseRequest{ID: token.ID, For: 1})
		return err
	},
	"RenewLease": func(ctx context.Context, s *oauthotel.Store, token *oauthstore.OAuthToken) error {
		return s.RenewLease(ctx, &oauthstore.Lease{Token: token, Holder: "holder-3"})
	},
	"SaveLeased": func(ctx context.Context, s *oauthotel.Store, token *oauthstore.OAuthToken) error {
		return s.SaveLeased(ctx, &oauthstore.Lease{Token: token, Holder: "holder-3"}, token)
	},
	"ReleaseLease": func(ctx context.Context, s *oauthotel.Store, token *oauthstore.OAuthToken) error {
		return s.ReleaseLease(ctx, &oauthstore.Lease{Token: token, Holder: "holder-3", Refused: "hush"})
	},
}
