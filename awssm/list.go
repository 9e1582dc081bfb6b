package awssm

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// maxPage is the most secrets that one answer of ListSecrets holds (API reference, MaxResults).
const maxPage = 100

// engineName is what the engine calls its secrets.
var engineName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

var errEndless = errors.New("the server gives a NextToken again that it gave before, so that the list has no end")

// List implements engine.Lister. A page may be empty and yet have a successor, since the service filters page by
// page (API reference, ListSecrets, NextToken). The list may lag behind by five minutes (the same, description).
func (d *driver) List(ctx context.Context, yield func(names []string) bool) error {
	in := &sm.ListSecretsInput{
		MaxResults: aws.Int32(maxPage),
		Filters:    []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{d.prefix}}},
	}
	seen := make(map[string]bool)
	for {
		out, err := d.client.ListSecrets(ctx, in)
		if err != nil {
			return d.fail("ListSecrets", "", false, err)
		}
		var names []string
		for _, entry := range out.SecretList {
			if name, ok := d.ownName(entry); ok {
				names = append(names, name)
			}
		}
		if !yield(names) {
			return nil
		}
		token := aws.ToString(out.NextToken)
		switch {
		case token == "":
			return nil
		case seen[token]:
			return d.fail("ListSecrets", "", false, errEndless)
		}
		seen[token] = true
		in.NextToken = out.NextToken
	}
}

// ownName returns the name of a secret without the prefix, and whether it is one of the store's. What the
// request asked for is checked again, since emulators ignore filters. A name with one more slash is that of a
// store whose prefix begins like this one.
func (d *driver) ownName(entry types.SecretListEntry) (string, bool) {
	name, ok := strings.CutPrefix(aws.ToString(entry.Name), d.prefix)
	return name, ok && entry.DeletedDate == nil && engineName.MatchString(name) && len(name) <= d.Limits().Name
}
