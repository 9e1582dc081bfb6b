// Mutate changes a package at random, one place at a time, and reports the changes that its tests do not notice.
//
//	go run -C tools ./mutate -seed 7 -n 20 ./codec
//	go run -C tools ./mutate -seed 7 -n 20 -also ./awssm ./internal/engine -- -schedules 20
//
// The package is a directory of the repository. Arguments after -- go to its tests. The files on disk stay as they
// are: the go command reads the changed file through its -overlay flag. A change that does not compile is not
// counted, and another one is drawn for it.
//
// Each change that lives is printed with its place. Some are equivalent: no test can distinguish them from the original.
// The exit status is 1 if a change lives.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	var m mutator
	flag.StringVar(&m.root, "root", "..", "the repository's directory")
	flag.Uint64Var(&m.seed, "seed", 1, "which places are drawn")
	flag.IntVar(&m.n, "n", 20, "how many changes are made")
	flag.DurationVar(&m.timeout, "timeout", 5*time.Minute, "how long the tests may take; a test that hangs has noticed the change")
	also := flag.String("also", "", "packages, separated by spaces, whose tests run if the package's own notice nothing")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: go run -C tools ./mutate [flags] package [-- test arguments]")
		os.Exit(2)
	}
	m.dir, m.also = flag.Arg(0), strings.Fields(*also)
	if args := flag.Args()[1:]; len(args) > 0 && args[0] == "--" {
		m.args = args[1:]
	}
	lived, err := m.run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if lived > 0 {
		os.Exit(1)
	}
}

// A mutator makes n changes to the package in dir.
type mutator struct {
	root, dir string
	also      []string
	args      []string // for the package's own tests
	seed      uint64
	n         int
	timeout   time.Duration
}

// run returns how many changes were not noticed.
func (m *mutator) run(ctx context.Context) (lived int, err error) {
	files, err := m.sources(ctx)
	if err != nil {
		return 0, err
	}
	var all []change
	for _, file := range files {
		changes, err := changesOf(file)
		if err != nil {
			return 0, err
		}
		all = append(all, changes...)
	}
	rand.New(rand.NewPCG(m.seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	made := 0
	for _, c := range all {
		if made == m.n {
			break
		}
		by, err := m.try(ctx, c)
		switch {
		case errors.Is(err, errDoesNotCompile):
			continue
		case err != nil:
			return lived, err
		case by == "":
			lived++
			by = "LIVED"
		}
		made++
		fmt.Printf("%-10s %s\n", by, c)
	}
	fmt.Printf("%s, seed %d: %d of %d changes were noticed\n", m.dir, m.seed, made-lived, made)
	return lived, nil
}

// sources returns the files of the package that this machine's build uses.
func (m *mutator) sources(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", `{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}`, m.dir)
	cmd.Dir, cmd.Stderr = m.root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", m.dir, err)
	}
	return strings.Fields(string(out)), nil
}

var errDoesNotCompile = errors.New("the change does not compile")

// try makes one change and returns which tests noticed it, or "".
func (m *mutator) try(ctx context.Context, c change) (by string, err error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay, err := c.overlay(dir)
	if err != nil {
		return "", err
	}
	if out, err := m.command(ctx, "build", "-overlay", overlay, m.dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", errDoesNotCompile, out)
	}
	own := append([]string{"test", "-overlay", overlay, "-count=1", "-failfast", "-timeout", m.timeout.String(), m.dir}, m.args...)
	if m.command(ctx, own...).Run() != nil {
		return "noticed", nil
	}
	if len(m.also) > 0 {
		others := append([]string{"test", "-overlay", overlay, "-count=1", "-failfast", "-timeout", m.timeout.String()}, m.also...)
		if m.command(ctx, others...).Run() != nil {
			return "elsewhere", nil
		}
	}
	return "", nil
}

func (m *mutator) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = m.root
	return cmd
}

// overlay writes the changed file and the go command's description of it to dir, and returns the latter's name.
func (c change) overlay(dir string) (string, error) {
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {c.file: changed}})
	if err != nil {
		return "", err
	}
	text := bytes.Join([][]byte{c.source[:c.from], []byte(c.instead), c.source[c.to:]}, nil)
	return overlay, errors.Join(os.WriteFile(changed, text, 0o600), os.WriteFile(overlay, replace, 0o600))
}
