package oauthotel_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/cache"
	oauthotel "github.com/oauthstore/oauthstore/otel"
	"github.com/oauthstore/oauthstore/tokensource"
)

// everything records all that there is, with errors that hold secrets, and returns it.
func everything(t *testing.T, more ...oauthotel.Option) *recording {
	t.Helper()
	r := record(t)
	errs := []error{
		nil,
		errors.New(hush + "of a service"),
		fmt.Errorf("%w: %w", oauthstore.ErrUnavailable, errors.New(hush+"of a service")),
		&oauthstore.CorruptRecordError{Secret: "p/token_record-17", Reason: "alice@example.com", Err: errors.New(hush + "of a cipher")},
		&oauthstore.ConflictError{ID: "record-17"},
		&oauthstore.WriteQuotaError{ID: "record-17"},
		&oauthstore.TokenError{ID: "record-17", Err: errors.New(hush + "of a service")},
		&tokensource.ProviderError{Status: 400, Code: "hush", Err: errors.New(hush + "of a provider")},
		&tokensource.NotSavedError{ID: "record-17", Err: errors.New(hush + "of a service")},
		&tokensource.ReauthRequiredError{ID: "record-17", UserName: "alice@example.com", Code: "hush"},
	}
	for _, err := range errs {
		store := oauthotel.Wrap(&fixed{token: secretToken(), lease: &oauthstore.Lease{Token: secretToken(), Holder: "holder-3", Refused: "hush"}, err: err}, r.options(more...)...)
		for _, do := range operations {
			_ = do(t.Context(), store, secretToken())
		}
		for _, ended := range []bool{false, true} {
			ctx, caller := r.tracers.Tracer("test").Start(t.Context(), "caller")
			if ended {
				caller.End()
			}
			observe := oauthotel.TokenSourceObserver(r.options(more...)...)
			for _, kind := range []tokensource.EventKind{
				tokensource.Asked, tokensource.Refreshed, tokensource.Adopted, tokensource.RefreshFailed, tokensource.LeaseWaited,
				tokensource.LeaseTakenOver, tokensource.LeaseLost, tokensource.SaveRetried, tokensource.SaveFailed, tokensource.ReauthRequired,
			} {
				observe(ctx, tokensource.Event{Kind: kind, ID: "record-17", Attempt: 1, Duration: time.Second, Err: err})
			}
			ask := oauthotel.StoreObserver(r.options(more...)...)
			for _, kind := range []oauthstore.EventKind{oauthstore.EventRequest, oauthstore.EventConflict, oauthstore.EventRetry} {
				ask(ctx, oauthstore.Event{Kind: kind, Backend: "awssm", Operation: "GetSecretValue", Secret: "p/token_record-17", Err: err})
			}
			caller.End()
		}
		observe := oauthotel.CacheObserver(r.options(more...)...)
		for _, kind := range []cache.EventKind{cache.Hit, cache.Miss, cache.Refresh} {
			observe(context.Background(), cache.Event{Kind: kind, ID: "record-17", UserName: "alice@example.com", ClientID: "client-5", Err: err})
		}
	}
	return r
}

func TestNothingThatIsExportedTellsASecret(t *testing.T) {
	r := everything(t, oauthotel.WithRecordIDs())
	spans, metrics := text(t, r.exporter.GetSpans()), text(t, r.metrics())
	for what, exported := range map[string]string{"spans": spans, "metrics": metrics} {
		for _, secret := range []string{"hush", "alice", "client-5", "holder-3", "exception"} {
			if at := strings.Index(exported, secret); at >= 0 {
				t.Errorf("%s: %q is in …%s…", what, secret, exported[max(0, at-100):min(len(exported), at+100)])
			}
		}
		if !strings.Contains(exported, "unavailable") {
			t.Errorf("%s: not to be searched like this", what)
		}
	}
	if !strings.Contains(spans, "record-17") || strings.Contains(metrics, "record-17") {
		t.Error("want record ids in spans, as was asked for, and not in metrics")
	}
	r = everything(t)
	if strings.Contains(text(t, r.exporter.GetSpans())+text(t, r.metrics()), "record-17") {
		t.Error("a record id is exported that nobody has asked for")
	}
}

func TestREADME_listsAllThatIsExported(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := func(what, name string) {
		t.Helper()
		if !strings.Contains(string(readme), "`"+name+"`") {
			t.Errorf("README.md does not list the %s %s", what, name)
		}
	}
	r := everything(t, oauthotel.WithRecordIDs())
	for _, m := range r.metrics() {
		row := ""
		for line := range strings.Lines(string(readme)) {
			if strings.HasPrefix(line, "| `"+m.Name+"` |") {
				row = line
			}
		}
		if !strings.Contains(row, "`"+m.Unit+"`") || m.Description == "" || !strings.HasPrefix(m.Name, "oauthstore.") {
			t.Errorf("%s: README.md has the row %q; the unit is %q and the description %q", m.Name, row, m.Unit, m.Description)
		}
		for _, p := range r.points(m.Name) {
			for _, a := range p.attributes.ToSlice() {
				if !strings.Contains(row, "`"+string(a.Key)+"`") {
					t.Errorf("%s: README.md does not name its attribute %s", m.Name, a.Key)
				}
			}
		}
	}
	for _, span := range r.exporter.GetSpans() {
		if span.Name != "caller" {
			listed("span", span.Name)
		}
		for _, a := range span.Attributes {
			listed("attribute", string(a.Key))
		}
		for _, e := range span.Events {
			listed("event", e.Name)
			for _, a := range e.Attributes {
				listed("attribute", string(a.Key))
			}
		}
		if v := has(span.Attributes, "oauthstore.outcome"); v != nil {
			listed("outcome", v.(string))
		}
	}
	for _, o := range outcomes {
		listed("outcome", o.outcome)
	}
}

// The semantic conventions: names should not coincide with namespaces. A backend that makes objects of the dots can keep
// only one of the two.
func TestNoAttributeIsTheNamespaceOfAnother(t *testing.T) {
	r := everything(t, oauthotel.WithRecordIDs())
	keys := map[string]bool{}
	note := func(attributes []attribute.KeyValue) {
		for _, a := range attributes {
			keys[string(a.Key)] = true
		}
	}
	for _, span := range r.exporter.GetSpans() {
		note(span.Attributes)
		for _, e := range span.Events {
			note(e.Attributes)
		}
	}
	for _, m := range r.metrics() {
		for _, p := range r.points(m.Name) {
			note(p.attributes.ToSlice())
		}
	}
	for name := range keys {
		for other := range keys {
			if strings.HasPrefix(other, name+".") {
				t.Errorf("%s is an attribute, and the namespace of %s", name, other)
			}
		}
	}
}

func TestTheLibraryItselfNeedsNoOpenTelemetry(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, pkg := range []string{".", "./tokensource", "./cache", "./memory", "./codec"} {
		list := exec.CommandContext(ctx, "go", "list", "-deps", "-test", pkg)
		list.Dir = ".."
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list -deps -test %s: %v", pkg, err)
		}
		for _, dep := range strings.Fields(string(out)) {
			if strings.HasPrefix(dep, "go.opentelemetry.io/") {
				t.Errorf("%s needs %s", pkg, dep)
			}
		}
	}
}
