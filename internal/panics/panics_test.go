package panics_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/internal/panics"
)

// run runs f in a goroutine and returns how it has ended.
func run(f func()) *panics.Error {
	ended := make(chan *panics.Error, 1)
	go panics.Run(f, func(p *panics.Error) { ended <- p })
	return <-ended
}

func blowUp() { panic("hush") }

// repeat repeats the panic and returns its value.
func repeat(p *panics.Error) (value any) {
	defer func() { value = recover() }()
	p.Repeat()
	return nil
}

func TestRun_knowsHowACallHasEnded(t *testing.T) {
	if p := run(func() {}); p != nil {
		t.Errorf("a call that has returned: got %v", p)
	}
	if p := run(blowUp); p == nil || p.Value != "hush" || !strings.Contains(string(p.Stack), "blowUp") {
		t.Errorf("a call that has panicked: got %v", p)
	}
	if p := run(runtime.Goexit); p == nil || p.Value != nil || !strings.Contains(p.Error(), "ended its goroutine") {
		t.Errorf("a call that has ended its goroutine: got %v", p)
	} else {
		p.Repeat() // which is no panic
	}
}

func TestError_doesNotShowTheValue(t *testing.T) {
	for _, p := range []*panics.Error{run(blowUp), run(func() { panic(errors.New("hush")) })} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if text := fmt.Sprintf(verb, p); strings.Contains(text, "hush") || !strings.Contains(text, "panicked") || strings.Contains(text, "\n") {
				t.Errorf("%s: got %q", verb, text)
			}
		}
	}
	var m map[string]int
	p := run(func() { m["a"] = 1 })
	if !strings.Contains(p.Error(), "nil map") {
		t.Errorf("of the runtime: got %q", p)
	}
}

func TestError_isTheErrorThatItPanickedWith(t *testing.T) {
	p := run(func() { panic(fmt.Errorf("wrapped: %w", io.ErrUnexpectedEOF)) })
	if !errors.Is(p, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", p)
	}
	if again, ok := repeat(p).(error); !ok || !errors.Is(again, io.ErrUnexpectedEOF) {
		t.Errorf("repeated: got %v", again)
	}
}

type point struct{ x int }

func TestRepeat_showsTheValueAndTheFirstStack(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{"text", "text\n"}, {17, "17\n"}, {io.EOF, "EOF\n"}, {point{17}, "a call has panicked with a value of type panics_test.point\n"},
	} {
		p := run(func() { panic(c.value) })
		for range 2 { // from one goroutine to the next
			shown := fmt.Sprint(repeat(p))
			if !strings.HasPrefix(shown, c.want) || strings.Count(shown, "goroutine ") < 1 || strings.Count(shown, "first in another") != 1 {
				t.Errorf("%v: got %s", c.value, shown)
			}
			first := p
			p = run(func() { first.Repeat() })
			if p != first {
				t.Errorf("%v: repeated in another goroutine: got another error", c.value)
			}
		}
	}
	var none *panics.Error
	none.Repeat()
}
