package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const source = `package sign

import "errors"

// Of returns -1, 0 or 1.
func Of(n int) (int, error) {
	sign := 0
	if n > 1000 && n != 0 {
		return 0, errors.New("too large")
	}
	if n < 0 {
		sign = -1
	}
	return sign, nil
}
`

const tests = `package sign

import "testing"

func TestOf(t *testing.T) {
	if got, err := Of(-1); got != -1 || err != nil {
		t.Fatal(got, err)
	}
	if got, err := Of(0); got != 0 || err != nil {
		t.Fatal(got, err)
	}
}
`

func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module sign\n\ngo 1.24\n", "sign.go": source, "sign_test.go": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestChangesOf(t *testing.T) {
	changes, err := changesOf(filepath.Join(module(t), "sign.go"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, c.what)
	}
	slices.Sort(got)
	want := []string{"&& became ||", "< became <=", "> became >=", "dropped", "error turned into nil", "negated", "negated"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRun(t *testing.T) {
	dir := module(t)
	m := mutator{root: dir, dir: ".", seed: 1, n: 100, timeout: time.Minute}
	lived, err := m.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The tests try no number near 1000. Without its error the package would import errors in vain, which does not
	// compile.
	if lived != 1 {
		t.Errorf("%d changes were not noticed, want 1: that of the boundary", lived)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "sign.go")); err != nil || strings.TrimSpace(string(text)) != strings.TrimSpace(source) {
		t.Errorf("the source was changed: %v", err)
	}
}
