// Command checkmodel runs the models of docs/model through Spin. A model that holds must have no error, and a variant
// that breaks a rule must have one.
//
//	cd tools && go run ./checkmodel            # all runs of docs/model/runs
//	cd tools && go run ./checkmodel google     # the runs of one model
//
// It needs spin and gcc.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	models = "../docs/model"

	// A run that must search all states has as much time as it needs on a slow machine, a large one as much as it is worth.
	longest = 10 * time.Minute
	large   = 20 * time.Second
)

// A run is one line of the file.
type run struct{ model, must, config string }

func main() {
	all, err := read(filepath.Join(models, "runs"), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "checkmodel:", err)
		os.Exit(1)
	}
	failed := false
	var mu sync.Mutex
	var wg sync.WaitGroup
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, r := range all {
		wg.Add(1)
		places <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-places }()
			begin := time.Now()
			found, err := r.check()
			mu.Lock()
			defer mu.Unlock()
			word := "ok"
			if err != nil {
				word, found, failed = "FAIL", err.Error(), true
			}
			fmt.Printf("%-4s %-7s %-6s %s: %s (%.1f s)\n", word, r.model, r.must, r.config, found, time.Since(begin).Seconds())
		}()
	}
	wg.Wait()
	if failed {
		os.Exit(1)
	}
}

// read returns the runs of the file, of all models or of those named.
func read(file string, named []string) ([]run, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []run
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 3 || !slices.Contains([]string{"holds", "large", "breaks"}, words[1]) {
			return nil, fmt.Errorf("%s: want a model, holds, large or breaks, and a configuration: %q", file, line)
		}
		if len(named) == 0 || slices.Contains(named, words[0]) {
			all = append(all, run{words[0], words[1], strings.Join(words[2:], " ")})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no runs of %s", file, strings.Join(named, ", "))
	}
	return all, nil
}

var (
	errorsFound = regexp.MustCompile(`errors: (\d+)`)
	violation   = regexp.MustCompile(`pan:1: (.*)`)
	stored      = regexp.MustCompile(`(\d+(?:\.\d+e\+\d+)?) states, stored`)
)

// check returns what the run has found, or an error if it must not find that.
func (r run) check() (found string, err error) {
	dir, err := os.MkdirTemp("", "checkmodel")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	model, err := filepath.Abs(filepath.Join(models, r.model+".pml"))
	if err != nil {
		return "", err
	}
	defines := []string{"-a"}
	for _, word := range strings.Fields(r.config) {
		defines = append(defines, "-D"+word)
	}
	if out, err := command(dir, longest, "spin", append(defines, model)...); err != nil {
		return "", fmt.Errorf("spin: %w: %s", err, out)
	}
	// Not optimised: that takes longer than the search.
	compile := []string{"-w", "-DSAFETY", "-DMEMLIM=4096", "-DVECTORSZ=4096", "-o", "pan", "pan.c"}
	search, limit := []string{"-m1000000"}, longest
	switch r.must {
	case "holds":
		compile = append(compile, "-DCOLLAPSE")
	case "large":
		compile, search, limit = append(compile, "-DBITSTATE"), append(search, "-w28"), large
	}
	if out, err := command(dir, longest, "gcc", compile...); err != nil {
		return "", fmt.Errorf("gcc: %w: %s", err, out)
	}
	out, err := command(dir, limit, "./pan", search...)
	if r.must == "large" && errors.Is(err, context.DeadlineExceeded) && !violation.MatchString(out) {
		return fmt.Sprintf("no error in %v", limit), nil
	}
	count := errorsFound.FindStringSubmatch(out)
	if count == nil {
		return "", fmt.Errorf("pan: %v: %s", err, out)
	}
	broken := violation.FindStringSubmatch(out)
	switch {
	case broken != nil && r.must == "breaks":
		return "found", nil
	case broken != nil:
		return "", errors.New(broken[1])
	case r.must == "breaks":
		return "", errors.New("no error: the variant breaks a rule, and the model does not notice")
	case strings.Contains(out, "max search depth too small") || strings.Contains(out, "out of memory"):
		return "", errors.New("the search was not complete")
	}
	states := stored.FindStringSubmatch(out)
	if states == nil {
		return "", fmt.Errorf("pan: %s", out)
	}
	return states[1] + " states", nil
}

// command runs a command in dir and returns its output.
func command(dir string, limit time.Duration, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var out bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Stdout, c.Stderr = dir, &out, &out
	err := c.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return out.String(), err
}
