package gcpsmtest

import (
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"
)

// latest is the alias that every secret with a version has.
const latest = "latest"

var (
	allDigits = regexp.MustCompile(`^[0-9]+$`)

	// CreateSecretRequest.secret_id and Secret.version_aliases, in the API's reference.
	secretIDFormat = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)
	aliasFormat    = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,62}$`)
)

// ProjectNumber returns the number that the server gives to a project, twelve digits derived from
// its id. A number is returned as it is.
func ProjectNumber(project string) string {
	if allDigits.MatchString(project) {
		return project
	}
	h := fnv.New64a()
	h.Write([]byte(project))
	return strconv.FormatUint(1e11+h.Sum64()%9e11, 10)
}

// A name is a resource name taken apart:
// projects/PROJECT[/locations/LOCATION][/secrets/SECRET[/versions/VERSION]].
type name struct {
	project  string // the number
	location string // empty for global secrets
	secret   string
	version  string // a number, latest or an alias
}

// splitName reads a resource name. It is false for what is not the name of a project, a location,
// a secret or a version.
func splitName(s string) (name, bool) {
	var n name
	parts := strings.Split(s, "/")
	fields := []struct {
		collection string
		id         *string
		optional   bool
	}{
		{"projects", &n.project, false},
		{"locations", &n.location, true},
		{"secrets", &n.secret, false},
		{"versions", &n.version, false},
	}
	for _, f := range fields {
		switch {
		case len(parts) >= 2 && parts[0] == f.collection && parts[1] != "":
			*f.id, parts = parts[1], parts[2:]
		case len(parts) == 0 || f.optional:
		default:
			return name{}, false
		}
	}
	n.project = ProjectNumber(n.project)
	return n, len(parts) == 0
}

// parentName reads the name of a project or a location.
func parentName(s string) (name, error) {
	n, ok := splitName(s)
	if !ok || n.secret != "" {
		return name{}, invalidName(s)
	}
	return n, nil
}

// secretName reads the name of a secret.
func secretName(s string) (name, error) {
	n, ok := splitName(s)
	if !ok || n.version != "" || !secretIDFormat.MatchString(n.secret) {
		return name{}, invalidName(s)
	}
	return n, nil
}

// versionName reads the name of a version, by number, latest or alias.
func versionName(s string) (name, error) {
	n, ok := splitName(s)
	if !ok || !secretIDFormat.MatchString(n.secret) || !n.numbered() && !aliasFormat.MatchString(n.version) {
		return name{}, invalidName(s)
	}
	return n, nil
}

// numberedName reads the name of a version by number, as the methods that change one want it.
func numberedName(s string) (name, error) {
	n, err := versionName(s)
	if err != nil || !n.numbered() {
		return name{}, invalidName(s)
	}
	return n, nil
}

// numbered reports whether the version is given by its number.
func (n name) numbered() bool { return allDigits.MatchString(n.version) }

// parent is the project or location that n is in.
func (n name) parent() string {
	if n.location == "" {
		return "projects/" + n.project
	}
	return "projects/" + n.project + "/locations/" + n.location
}

// full is the name of n's secret.
func (n name) full() string { return n.parent() + "/secrets/" + n.secret }

// numberOf returns the name of one version of n's secret.
func (n name) numberOf(number int) string {
	return n.full() + "/versions/" + strconv.Itoa(number)
}
