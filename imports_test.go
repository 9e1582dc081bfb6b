package oauthstore_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/oauthstore/oauthstore"

// What must not be linked, by package: everything that begins with one of these.
var (
	aws    = []string{"github.com/aws/", module + "/awssm"}
	vault  = []string{"github.com/hashicorp/", module + "/vault"}
	otel   = []string{"go.opentelemetry.io/"}
	google = []string{"cloud.google.com/", "google.golang.org/", "github.com/googleapis/", module + "/gcpsm"}
	tests  = []string{"testing", "github.com/stretchr/", module + "/storetest", module + "/testserver", module + "/memory"}
)

func TestPackagesLinkWhatTheyNeed(t *testing.T) {
	for pkg, never := range map[string][]string{
		"./awssm":       slices.Concat(vault, google, tests),
		"./vault":       slices.Concat(aws, google, tests),
		"./gcpsm":       slices.Concat(aws, vault, tests),
		"./memory":      slices.Concat(aws, vault, google, tests[:2]),
		"./codec":       slices.Concat(aws, vault, google, tests),
		"./cache":       slices.Concat(aws, vault, google, otel, tests),
		"./tokensource": slices.Concat(aws, vault, google, otel, tests, []string{module + "/tokensource/authtest"}),
	} {
		for _, dep := range deps(t, pkg) {
			for _, bad := range never {
				if strings.HasPrefix(dep, bad) && dep != module+strings.TrimPrefix(pkg, ".") {
					t.Errorf("%s links %s, which whoever imports it would carry", pkg, dep)
				}
			}
		}
	}
}

func TestContractNeedsTheStandardLibraryOnly(t *testing.T) {
	for _, dep := range deps(t, ".") {
		if first, _, _ := strings.Cut(dep, "/"); strings.Contains(first, ".") && dep != module {
			t.Errorf("the contract links %s", dep)
		}
	}
}

func TestSuiteNeedsTheStandardLibraryAndTheContractOnly(t *testing.T) {
	for _, dep := range deps(t, "./storetest") {
		if first, _, _ := strings.Cut(dep, "/"); strings.Contains(first, ".") && dep != module && dep != module+"/storetest" {
			t.Errorf("storetest links %s, which whoever tests a store of their own would carry", dep)
		}
	}
}

// deps lists the packages that pkg links, itself included.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}
