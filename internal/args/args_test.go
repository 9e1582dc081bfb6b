package args_test

import (
	"testing"

	"github.com/oauthstore/oauthstore/internal/args"
)

type option func(*int)

func TestApply_skipsNilOptions(t *testing.T) {
	n := 0
	args.Apply(&n, []option{nil, func(n *int) { *n += 1 }, nil, func(n *int) { *n *= 10 }})
	if n != 10 {
		t.Errorf("got %d, want 10", n)
	}
	args.Apply(&n, []option(nil))
}

type value struct{}

func TestIsNil(t *testing.T) {
	for _, v := range []any{nil, (*value)(nil), option(nil)} {
		if !args.IsNil(v) {
			t.Errorf("%T: got that it is not nil", v)
		}
	}
	for _, v := range []any{value{}, &value{}, option(func(*int) {}), 0, map[string]int(nil)} {
		if args.IsNil(v) {
			t.Errorf("%T: got that it is nil", v)
		}
	}
}
